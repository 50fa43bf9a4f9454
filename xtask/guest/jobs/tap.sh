# The host's own stack through `igbctl tap`, Linux's igb at the other end: ping, IPv6, VLAN, MTU, TCP, and its end.
#: order 6
#: timeout 400
#: cpus 2
#: binary igbctl igbctl
modprobe tun
nic_bind "$A" vfio-pci
nic_bind "$B" igb
far=$(nic_name "$B")
# Two namespaces, or the stack would not use the wire.
ip netns add one
ip netns add two
ip link set "$far" netns two

igbctl --json tap "vfio:$A" --name igb0 --queues 2 >/tmp/tap.json 2>/tmp/tap.err &
tap=$!
said() { cat /tmp/tap.err /tmp/tap.json; }
until_true 20 grep -q "^igbctl: igb0 is vfio:$A, address 52:54:00:00:00:01, MTU 1500, queues: 2" /tmp/tap.err || fail "$(said)"
[ "$(cat /sys/class/net/igb0/address)" = 52:54:00:00:00:01 ] || fail "its address is not the NIC's"
[ "$(ls -d /sys/class/net/igb0/queues/rx-* | wc -l)" = 2 ] || fail "it has not two queues"
ip link set igb0 up
until_true 10 carrier igb0 || fail "no carrier: $(said)"

# It goes on in another namespace.
ip link set igb0 netns one
for side in one two; do ip -n $side link set lo up; done
ip -n one addr add 10.9.0.1/24 dev igb0
ip -n two addr add 10.9.0.2/24 dev "$far"
ip -n one addr add fd09::1/64 dev igb0 nodad
ip -n two addr add fd09::2/64 dev "$far" nodad
nic_up igb0 one
nic_up "$far" two

# answers NAMESPACE: echo replies that came, of IPv4 and IPv6.
answers() {
    ip netns exec "$1" awk '
        $1 == "Icmp:" && !column { for (at = 1; at <= NF; at++) if ($at == "InEchoReps") column = at; next }
        $1 == "Icmp:" { sum += $column }
        $1 == "Icmp6InEchoReplies" { sum += $2 }
        END { print sum + 0 }' /proc/net/snmp /proc/net/snmp6
}
answered() { [ "$(answers "$1")" = "$2" ]; }
# answered_all NAMESPACE COUNT ARGUMENT...: as many pings as that, and every answer came. ping itself gives up a second after
# its last question, which on a busy machine is too early: late is not lost.
answered_all() {
    _side=$1 _count=$2 _due=$(($(answers "$1") + $2))
    shift 2
    inside "$_side" ping -q -c "$_count" "$@" >/tmp/ping 2>&1 || true
    until_true 20 answered "$_side" $_due || fail "ping $*: $(($_due - $(answers "$_side"))) of $_count lost: $(cat /tmp/ping)"
}
answered_all one 3 -i 0.2 10.9.0.2
step=0
while [ $step -lt 25 ]; do
    # Frames of 64 to 1518 bytes with their CRC.
    answered_all one 40 -i 0.002 -s $((18 + step * 1454 / 24)) 10.9.0.2
    step=$((step + 1))
done
note "1,000 pings of 64 to 1518 bytes, none lost"
answered_all two 20 -i 0.01 -s 1000 10.9.0.1
answered_all one 20 -i 0.01 -6 fd09::2
note "20 the other way, 20 of IPv6, none lost"

ip -n one link add link igb0 name tagged type vlan id 42
ip -n two link add link "$far" name tagged type vlan id 42
ip -n one addr add 10.42.0.1/24 dev tagged
ip -n two addr add 10.42.0.2/24 dev tagged
ip -n one link set tagged up
ip -n two link set tagged up
answered_all one 20 -i 0.01 -s 1472 10.42.0.2
note "20 full pings in VLAN 42, none lost"

# mtu BYTES: on both sides; the NIC follows, in the namespace too.
mtu() {
    ip -n one link set igb0 mtu "$1"
    ip -n two link set "$far" mtu "$1"
    until_true 10 grep -q "MTU $1" /tmp/tap.err || fail "the MTU is not followed: $(said)"
    nic_up igb0 one
    nic_up "$far" two
    until_true 10 inside one ping -q -c 1 -W 1 10.9.0.2 >/dev/null || fail "no ping with an MTU of $1: $(said)"
}
sent() { ip netns exec one cat /sys/class/net/igb0/statistics/tx_packets; }
mtu 9000
before=$(sent)
answered_all one 20 -i 0.01 -s 8972 10.9.0.2
# In one piece each.
[ $(($(sent) - before)) -lt 30 ] || fail "20 pings took $(($(sent) - before)) frames"
note "20 pings of 9,014 bytes after the MTU was changed, none lost"
mtu 1501
: >/tmp/tap.err
mtu 1500

tcp one two 10.9.0.2 64
tcp two one 10.9.0.1 64
tcp one two fd09::2 4
tcp two one fd09::1 4

kill -TERM $tap
status=0
wait $tap || status=$?
[ $status = 143 ] || fail "ended with $status: $(said)"
ip -n one link show igb0 && fail "the interface is still there"
# value NAME: of the report.
value() { sed -n "s/^ *\"$1\": \([0-9]*\).*/\1/p" /tmp/tap.json | tail -n 1; }
for name in host_full host_down host_refused too_long malformed summed_here; do
    [ "$(value $name)" = 0 ] || fail "$name is $(value $name)"
done
[ "$(value openings)" = 4 ] || fail "opened $(value openings) times"
[ "$(value summed_by_nic)" -gt 10000 ] || fail "the NIC made $(value summed_by_nic) checksums"
[ "$(value checked_by_nic)" -gt 10000 ] || fail "the NIC checked $(value checked_by_nic) checksums"
note "checksums of $(value summed_by_nic) sent and $(value checked_by_nic) received frames by the NIC, interface gone with the command"

# The device is left quiet, and whoever comes next gets it.
igbctl info "vfio:$A" >/dev/null
nic_bind "$A" igb
[ -n "$(nic_name "$A")" ] || fail "no interface after the device came back to igb"
