# The README's quick start on hardware, word for word; only what stands around it is ours.
#: order 25
#: timeout 300
#: binary igbctl igbctl
#: block README.md On hardware
[ "$A" = 0000:01:00.0 ] || fail "the README's device is not $A"
nic_bind "$A" igb
nic_bind "$B" igb
rmmod vfio_pci vfio_iommu_type1 2>/dev/null || true

# At the other end of the wire: Linux's igb, which pings somebody who does not answer.
ip netns add far
far=$(nic_name "$B")
ip link set "$far" netns far
ip -n far addr add 10.9.0.2/24 dev "$far"
ip -n far link set "$far" up
ip -n far neigh add 10.9.0.1 lladdr 52:54:00:00:00:01 dev "$far"
ip netns exec far ping -q -i 0.01 10.9.0.1 >/dev/null 2>&1 &
pings=$!

note "$(grep -c . /job/block.sh) lines of the README"
sh -ex /job/block.sh >/tmp/out 2>&1 || fail "the README's block: status $?: $(cat /tmp/out)"
kill $pings
cat /tmp/out
received=$(grep "^ *frames received" /tmp/out | tr -dc 0-9)
[ "${received:-0}" -gt 50 ] || fail "$received frames received"
[ "$(nic_driver "$A")" = igb ] || fail "$A went to $(nic_driver "$A")"

# The device is Linux's again, and pings.
near=$(nic_name "$A")
ip addr add 10.9.0.1/24 dev "$near"
nic_up "$near"
lossless self -c 5 -i 0.05 10.9.0.2
note "$received frames received; back with igb, which pings"
