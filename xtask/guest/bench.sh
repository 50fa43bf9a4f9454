# What a frame costs over VFIO. Not one of the jobs: `cargo xtask bench --guest` runs it, with a counter in QEMU.
#: nics 4
#: cpus 2
#: timeout 600
#: binary igb-suite vfio-bench
# A-B and C-D are wires. A is counted, on the first processor; B sends to it from the second; C sends what A forwards, to
# D, where nobody is.
for nic in "$A" "$B" "$C"; do nic_bind "$nic" vfio-pci; done
count() {
    said=$(taskset 1 vfio-bench "$@" 2>&1) || fail "$*: $said"
    note "$said"
}
taskset 2 vfio-bench source "$B" 52:54:00:00:00:01 >/tmp/source 2>&1 &
source=$!
until_true 30 grep -q sending /tmp/source || fail "source: $(cat /tmp/source)"
count rxdrop "$A"
count echo "$A"
count fwd "$A" "$C"
kill -9 $source
wait $source || true
count txpush "$A"
count txgen "$A"
