# The driver over VFIO between two devices on one wire: the suite's cases of joined ports with MSI-X, MSI and INTx, and binding.
#: order 10
#: timeout 600
#: cpus 2
#: binary igb-suite vfio-suite
#: expect DMAR: [DMA Write
#: expect fault status reg
nic_bind "$A" igb
nic_bind "$B" igb
modprobe vfio_iommu_type1
said=$(vfio-suite check "$A") && fail "opened without vfio-pci"
[ "$said" = "VFIO is not there: modprobe vfio-pci" ] || fail "$said"
modprobe vfio-pci
said=$(vfio-suite check "$A") && fail "opened what igb has"
echo "$said" | grep -q "igb drives it" || fail "$said"

# What the message says is what mends it.
vfio-suite bind "$B"
sh -c "$(echo "$said" | sed 's/.*Bind it to vfio-pci: //')"
vfio-suite check "$A"
vfio-suite list

# One of its cases lets a device write to memory that was taken away: the faults that are expected above.
vfio-suite run "$A" "$B"
note "$(dmesg | grep -c 'DMA Write') faults, all of them meant"

for nic in "$A" "$B"; do vfio-suite unbind "$nic"; done
[ "$(nic_driver "$A")" = igb ] || fail "$A went to $(nic_driver "$A")"
[ "$(nic_driver "$B")" = igb ] || fail "$B went to $(nic_driver "$B")"

# An interface that the host uses is not taken from it.
interface=$(nic_name "$A")
ip addr add 10.9.0.1/24 dev "$interface"
said=$(vfio-suite bind "$A") && fail "took an interface with an address"
echo "$said" | grep -q "has an address" || fail "$said"
ip link set "$interface" up
ip route add default via 10.9.0.2
said=$(vfio-suite bind "$A") && fail "took the default route"
echo "$said" | grep -q "default route" || fail "$said"
vfio-suite bind "$A" force
[ "$(nic_driver "$A")" = vfio-pci ] || fail "force"
