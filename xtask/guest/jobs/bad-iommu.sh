# A machine whose IOMMU is off: bind, --bind and doctor say so, and igb keeps the device.
#: order 21
#: timeout 240
#: kernel intel_iommu=off
#: binary igbctl igbctl
nic_bind "$A" igb
modprobe vfio-pci
modprobe vfio_iommu_type1 || true
for command in "bind $A" "info vfio:$A --bind"; do
    said=$(igbctl $command 2>&1) && fail "igbctl $command without an IOMMU"
    echo "$said" | grep -q "is in no IOMMU group: switch the IOMMU on" || fail "igbctl $command: $said"
    [ "$(nic_driver "$A")" = igb ] || fail "$A was not given back: $(nic_driver "$A")"
done
[ -n "$(nic_name "$A")" ] || fail "igb is back without an interface"
[ ! -e "/run/igb-vfio/$A" ] || fail "still remembered"
status=0
igbctl doctor >/tmp/out 2>&1 || status=$?
[ $status = 4 ] || fail "the doctor's status is $status"
grep -q "switched off by intel_iommu=off" /tmp/out || fail "$(cat /tmp/out)"
grep -q -- "-> sed -i 's/intel_iommu=off//' /etc/default/grub" /tmp/out || fail "$(cat /tmp/out)"
igbctl list | grep "vfio:$A" | grep -q " igb " || fail "$(igbctl list)"
note "no IOMMU: told, with the command that mends it"
