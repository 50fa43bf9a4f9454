# SIGTERM and Ctrl-C under traffic: what is in the queues leaves, the driver is restored, the exit status says which.
#: order 24
#: timeout 240
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

# A sender and a receiver, each a process of its own: the receiver ends under traffic, then the sender.
for signal in TERM INT; do
    if [ $signal = TERM ]; then status=143; else status=130; fi
    igbctl rxdrop "vfio:$A" --bind --json >/tmp/a 2>&1 &
    a=$!
    igbctl txgen "vfio:$B" --bind --json >/tmp/b 2>&1 &
    b=$!
    until_true 20 grep -q vfio "/proc/interrupts" || fail "no interrupt of ours"
    sleep 3
    kill -$signal $a
    ended $status $a /tmp/a
    given_back "$A"
    [ "$(member /tmp/a rx_frames 1)" -gt 100 ] || fail "no traffic: $(cat /tmp/a)"
    kill -0 $b || fail "the sender did not live on: $(cat /tmp/b)"
    kill -$signal $b
    ended $status $b /tmp/b
    given_back "$A" "$B"
    note "SIG$signal: $(member /tmp/a rx_frames 1) frames received, $(member /tmp/b tx_frames 1) sent, drivers back, status $status"
done

# Four in one process: what was received is forwarded, what was forwarded is sent, before the devices close.
igbctl fwd "vfio:$B" "vfio:$C" --one-way --source "vfio:$A" --sink "vfio:$D" --bind --json >/tmp/f 2>/tmp/e &
f=$!
sleep 8
kill -TERM $f
ended 143 $f /tmp/f
given_back "$A" "$B" "$C" "$D"
cp /tmp/f /dev/ttyS0
