# VFIO in trouble: permission, locked memory, two processes, death under traffic, a device wanted back.
#: order 11
#: timeout 600
#: cpus 1
#: binary igb-suite vfio-suite
# One processor: with two, QEMU 10.0 fails an assertion of its own (iotlb_to_section) when a device is reset while the
# other processor reaches for one.
modprobe vfio_iommu_type1
modprobe vfio-pci
vfio-suite bind "$A"
vfio-suite bind "$B"
node=/dev/vfio/$(nic_group "$A")

said=$(vfio-suite nobody check "$A") && fail "opened without permission"
echo "$said" | grep -q "no permission on $node" || fail "$said"
chown 65534 "$node"
said=$(ulimit -l 1024 && vfio-suite nobody check "$A") && fail "opened with 1 MiB of locked memory"
echo "$said" | grep -q "limit of locked memory, 1048576 bytes" || fail "$said"
(ulimit -l 65536 && vfio-suite nobody check "$A") || fail "an ordinary user with permission and 64 MiB"
chown 0 "$node"
note "permission and locked memory are told"

# hold NIC FILE: a process that drives it and writes there when it does; $! is its number.
hold() {
    vfio-suite hold "$1" >"$2" 2>&1 &
    until_true 20 grep -q holding "$2" || fail "$1: $(cat "$2")"
}

vfio-suite hold "$B" >/tmp/b 2>&1 &
b=$!
hold "$A" /tmp/a
a=$!
until_true 20 grep -q holding /tmp/b || fail "$B: $(cat /tmp/b)"
said=$(vfio-suite check "$A") && fail "opened twice"
echo "$said" | grep -q "in use by process $a (vfio-suite)" || fail "$said"
said=$(vfio-suite unbind "$A") && fail "unbound while in use"
echo "$said" | grep -q "in use by process $a (vfio-suite)" || fail "$said"

# Both send to each other as fast as they can; one is killed at once, again and again.
for round in $(seq 20); do
    kill -9 $a
    wait $a || true
    said=$(vfio-suite check "$A") || fail "after kill $round: $said"
    hold "$A" /tmp/a
    a=$!
done
note "20 kills under traffic"

# The kernel wants a device back: the program hears of it and closes.
echo "$A" >"/sys/bus/pci/drivers/vfio-pci/unbind"
wait $a || fail "$(cat /tmp/a)"
grep -q "notice: Release" /tmp/a || fail "$(cat /tmp/a)"
[ "$(nic_driver "$A")" = none ] || fail "still bound"
kill -9 $b
note "given back on request"
