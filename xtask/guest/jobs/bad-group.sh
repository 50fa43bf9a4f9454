# Two devices in one IOMMU group: handed out together or not at all; the command that is named takes both.
#: order 23
#: timeout 240
#: together
#: binary igbctl igbctl
group=$(nic_group "$A")
[ "$(nic_group "$B")" = "$group" ] || fail "$A is in group $group, $B in $(nic_group "$B")"
nic_bind "$A" igb
nic_bind "$B" igb
modprobe vfio_iommu_type1
modprobe vfio-pci
said=$(igbctl bind "$A" 2>&1) && fail "bound one of two"
echo "$said" | grep -q "the kernel drives $B (igb): igbctl bind $A $B" || fail "$said"
said=$(igbctl info "vfio:$A" --bind 2>&1) && fail "took one of two"
echo "$said" | grep -q "igbctl bind $A $B" || fail "$said"
[ "$(nic_driver "$A")" = igb ] || fail "$A went to $(nic_driver "$A")"
igbctl list | grep "vfio:$A" | grep -q "$B (igb)" || fail "$(igbctl list)"

# By force: then the kernel is the one to refuse, and the message is the same.
igbctl bind --force "$A" | grep "group $group cannot be used yet: igbctl bind $B" || fail "no word of $B"
said=$(igbctl info "vfio:$A" 2>&1) && fail "opened one of two"
echo "$said" | grep -q "IOMMU group $group is handed out whole or not at all, and the kernel drives $B (igb)" || fail "$said"
igbctl doctor "$A" >/tmp/out 2>&1 && fail "the doctor is content with one of two"
grep -q -- "-> igbctl bind $A $B" /tmp/out || fail "$(cat /tmp/out)"
note "$said"

# What it says mends it: both in our hands, and frames go over the wire between them.
igbctl bind "$A" "$B"
igbctl doctor "$A" || fail "the doctor of a whole group: status $?"
igbctl txgen "vfio:$A" --sink "vfio:$B" --count 1000 --json >/tmp/out || fail "$(cat /tmp/out)"
note "$(grep -m 1 tx_frames /tmp/out) from one to the other"
igbctl unbind "$A" "$B"
[ "$(nic_driver "$A") $(nic_driver "$B")" = "igb igb" ] || fail "$A went to $(nic_driver "$A"), $B to $(nic_driver "$B")"
