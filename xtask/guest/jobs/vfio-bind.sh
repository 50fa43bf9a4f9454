# A device goes from igb to vfio-pci and back, alone in its IOMMU group.
#: order 2
#: timeout 300
nic_bind "$A" igb
nic_bind "$B" igb
group=$(nic_group "$A")
members=$(ls "/sys/kernel/iommu_groups/$group/devices")
[ "$members" = "$A" ] || fail "group $group holds $members, not only $A"
[ "$(nic_group "$B")" != "$group" ] || fail "$A and $B share group $group"

[ ! -e "/dev/vfio/$group" ] || fail "/dev/vfio/$group is there before the device is bound"
nic_bind "$A" vfio-pci
[ -c /dev/vfio/vfio ] || fail "no /dev/vfio/vfio"
[ -c "/dev/vfio/$group" ] || fail "no /dev/vfio/$group"
note "$A is /dev/vfio/$group"

nic_bind "$A" igb
[ ! -e "/dev/vfio/$group" ] || fail "/dev/vfio/$group is still there"
[ -n "$(nic_name "$A")" ] || fail "no interface after the device came back to igb"
note "and a network interface again"
