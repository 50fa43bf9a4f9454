# SIGTERM and Ctrl-C under traffic: what is in the queues leaves, the driver is restored, the exit status says which.
#: order 24
#: timeout 420
#: nics 4
#: binary igbctl igbctl
for nic in "$A" "$B" "$C" "$D"; do nic_bind "$nic" igb; done
modprobe vfio_iommu_type1
modprobe vfio-pci

# ended STATUS PROCESS FILE: it ends with this status within 20 s, and says so in its JSON.
ended() {
    _status=0
    until_true 20 sh -c "! kill -0 $2 2>/dev/null" || fail "process $2 did not end: $(cat "$3")"
    wait "$2" || _status=$?
    [ $_status = "$1" ] || fail "status $_status, not $1: $(cat "$3")"
    grep -q '"kind": "stopped"' "$3" || fail "$(cat "$3")"
}
# member FILE NAME NUMBER: the value of the NUMBERth member of that name.
member() { grep "\"$2\":" "$1" | sed -n "$3p" | tr -dc 0-9; }
given_back() {
    for _nic in "$@"; do
        [ "$(nic_driver "$_nic")" = igb ] || fail "$_nic is with $(nic_driver "$_nic")"
        [ -n "$(nic_name "$_nic")" ] || fail "igb has no interface of $_nic"
        [ ! -e "/run/igb-vfio/$_nic" ] || fail "$_nic is still remembered"
    done
}

# traffic: a receiver $a and a sender $b, each a process of its own, until frames move.
traffic() {
    igbctl rxdrop "vfio:$A" --bind --json >/tmp/a 2>&1 &
    a=$!
    igbctl txgen "vfio:$B" --bind --json >/tmp/b 2>&1 &
    b=$!
    until_true 20 moving || fail "no frames: $(cat /tmp/a /tmp/b)"
    sleep 1
}
# moving: some interrupt of vfio came a few times.
moving() { awk '/vfio-msix/ && $2 > 5 { found = 1 } END { exit !found }' /proc/interrupts; }

# The receiver ends under traffic, and gives its device back; the sender lives on.
traffic
kill -TERM $a
ended 143 $a /tmp/a
given_back "$A"
[ "$(member /tmp/a rx_frames 3)" -gt 100 ] || fail "no traffic: $(cat /tmp/a)"
kill -0 $b || fail "the sender did not live on: $(cat /tmp/b)"
kill -TERM $b
ended 143 $b /tmp/b
given_back "$A" "$B"
note "SIGTERM: $(member /tmp/a rx_frames 3) frames received, drivers back, status 143"

# The sender ends first: every frame that it put into its queue has left, and arrived.
traffic
kill -INT $b
ended 130 $b /tmp/b
given_back "$B"
sent=$(member /tmp/b tx_frames 3) left=$(member /tmp/b tx_frames 1)
[ "$sent" -gt 100 ] || fail "no traffic: $(cat /tmp/b)"
[ "$sent" = "$left" ] || fail "$sent frames were queued, $left left the device"
kill -INT $a
ended 130 $a /tmp/a
given_back "$A" "$B"
note "Ctrl-C: $sent frames queued, all of them sent, drivers back, status 130"

# Four in one process: what was received is forwarded, what was forwarded is sent, before the devices close.
igbctl fwd "vfio:$B" "vfio:$C" --one-way --source "vfio:$A" --sink "vfio:$D" --bind --json >/tmp/f 2>/tmp/e &
f=$!
until_true 30 test -e "/run/igb-vfio/$D" || fail "not taken: $(cat /tmp/e)"
# It has frames all the time and never sleeps on an interrupt: the report tells whether they moved.
sleep 10
kill -TERM $f
ended 143 $f /tmp/f
given_back "$A" "$B" "$C" "$D"
# In the order of the report: B, C, A, D; of each what the hardware counted, the queue, and all queues.
received=$(member /tmp/f rx_frames 3) forwarded=$(member /tmp/f tx_frames 6) left=$(member /tmp/f tx_frames 4)
arrived=$(member /tmp/f rx_frames 12)
[ "$received" -gt 100 ] || fail "no traffic: $(cat /tmp/f)"
[ "$received $received $received" = "$forwarded $left $arrived" ] ||
    fail "$received frames received, $forwarded forwarded, $left left the device, $arrived arrived"
note "SIGTERM to a forwarder: $received frames received, all of them forwarded, sent and taken at the far end"

# After SIGKILL nothing is given back, and what was remembered is enough for unbind.
igbctl rxdrop "vfio:$A" --bind >/tmp/a 2>&1 &
a=$!
until_true 20 test -e "/run/igb-vfio/$A" || fail "not taken: $(cat /tmp/a)"
kill -9 $a
wait $a || true
igbctl unbind "$A"
given_back "$A"

# And they are Linux's again, both ends of a wire.
ip netns add far
near=$(nic_name "$A") far=$(nic_name "$B")
ip link set "$far" netns far
ip addr add 10.9.0.1/24 dev "$near"
ip -n far addr add 10.9.0.2/24 dev "$far"
ip -n far link set "$far" up
nic_up "$near"
lossless self -c 20 -i 0.01 10.9.0.2
note "and Linux's igb pings on what they gave back"
