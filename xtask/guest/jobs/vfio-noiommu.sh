# VFIO on a machine whose IOMMU is off: refused, and told why.
#: order 12
#: timeout 300
#: kernel intel_iommu=off
#: binary igb-suite vfio-suite
modprobe vfio_iommu_type1 || true
modprobe vfio-pci
said=$(vfio-suite check "$A") && fail "opened without an IOMMU"
echo "$said" | grep -q "is in no IOMMU group: switch the IOMMU on" || fail "$said"
said=$(vfio-suite bind "$A") && fail "bound without an IOMMU"
echo "$said" | grep -q "is in no IOMMU group: switch the IOMMU on" || fail "$said"
[ "$(nic_driver "$A")" = igb ] || [ "$(nic_driver "$A")" = none ] || fail "$A is with $(nic_driver "$A")"
said=$(IGB_WITHOUT_IOMMU=1 vfio-suite check "$A") && fail "opened what is not bound"
echo "$said" | grep -q "no driver has it" || fail "$said"
# Debian's kernels cannot do without: nothing more can be shown with them.
[ ! -e /sys/module/vfio/parameters/enable_unsafe_noiommu_mode ] || note "this kernel could go without an IOMMU: untested"
