# An IOMMU that guards memory but not interrupts: VFIO refuses, and we say why.
#: order 22
#: timeout 240
#: kernel intremap=off
#: binary igbctl igbctl
nic_bind "$A" igb
modprobe vfio_iommu_type1
modprobe vfio-pci
said=$(igbctl info "vfio:$A" --bind 2>&1) && fail "opened without interrupt remapping"
echo "$said" | grep -q "does not remap interrupts" || fail "$said"
echo "$said" | grep -q "$A: igb has it again" || fail "$said"
[ "$(nic_driver "$A")" = igb ] || fail "$A was not given back: $(nic_driver "$A")"
status=0
igbctl doctor "$A" >/tmp/out 2>&1 || status=$?
[ $status = 4 ] || fail "the doctor's status is $status"
grep -q "interrupt remapping  *switched off by intremap=off" /tmp/out || fail "$(cat /tmp/out)"
echo 1 >/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts
igbctl info "vfio:$A" --bind --wait 0 || fail "not even where it is allowed"
note "interrupt remapping: told, and what the message names lets it through"
