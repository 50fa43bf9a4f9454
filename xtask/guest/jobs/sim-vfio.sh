# Our driver over VFIO drives simulated I210, I350 and 82576 behind the IOMMU: bring-up, traffic, queues, interrupts, reset.
#: order 24
#: cpus 2
#: timeout 600
#: sim i210 i210 i350 i350 82576 82576
#: binary igb-suite vfio-suite
. /job/judge.sh
modprobe vfio_iommu_type1
modprobe vfio-pci

# judge CHIP ADDRESS ADDRESS CASE...: the suite's cases whose names hold one of these words. Both ports belong to one
# process, which reads registers of either before it sends.
judge() {
    _chip=$1 _one=$2 _two=$3
    shift 3
    vfio-suite bind "$_one"
    vfio-suite bind "$_two"
    vfio-suite run "$_one" "$_two" "$@" >/tmp/said 2>&1 || { cat /tmp/said; fail "$_chip: $(grep -c '^not ok' /tmp/said) cases failed"; }
    _passed=$(grep -c '^ok' /tmp/said || :)
    [ "$_passed" -ge $# ] || fail "$_chip: only $_passed cases for $# words"
    note "$_chip: $_passed cases of the suite"
}
set -- 'opens and closes, MSI-X' 'every length both ways, MSI-X' 'spreads flows over 2, MSI-X' 'wakes by MSI-X, MSI-X' \
    'resets under traffic, MSI-X' 'quiet after close, MSI-X'
judge i210 "$A" "$B" "$@" 'wakes by MSI, MSI-X' 'wakes by INTx, MSI-X' 'forwards without copy, MSI-X'
judge i350 "$C" "$D" "$@" 'spreads flows over 8, MSI-X' 'every vector of 8 queues, MSI-X'
judge 82576 "$E" "$F" "$@" 'spreads flows over all 16, MSI-X' 'every vector of 8 queues, MSI-X'
