# `igbctl tap` where something is missing or in the way, and when somebody takes the interface away.
#: order 14
#: timeout 200
#: binary igbctl igbctl
nic_bind "$A" vfio-pci
nic_bind "$B" vfio-pci
node=/dev/vfio/$(nic_group "$A")

# refused STATUS WORDS ARGUMENT...: `igbctl tap` ends at once, so, and says that.
refused() {
    _wanted=$1 _words=$2 _status=0
    shift 2
    _said=$(igbctl tap "$@" 2>&1) || _status=$?
    [ $_status = "$_wanted" ] || fail "tap $*: status $_status: $_said"
    case $_said in *"$_words"*) ;; *) fail "tap $*: $_said" ;; esac
}

rm -f /dev/net/tun
refused 4 "there is no /dev/net/tun: modprobe tun" "vfio:$A"
# What the message says is what mends it.
modprobe -r tun 2>/dev/null || true
modprobe tun
until_true 5 [ -c /dev/net/tun ] || fail "no /dev/net/tun"

refused 2 "has at most 15 bytes, and this has 16" "vfio:$A" --name sixteen-bytes-xx
refused 2 "68..=" "vfio:$A" --mtu 67
refused 1 "the name lo is taken by an interface that is no TAP" "vfio:$A" --name lo
ip tuntap add dev tun9 mode tun
refused 1 "the name tun9 is taken" "vfio:$A" --name tun9
ip tuntap add dev one9 mode tap
refused 1 "the interface one9 is there and has one queue only" "vfio:$A" --name one9 --queues 2
refused 2 "give --name once for each device" "vfio:$A" "vfio:$B" --name a

# start ARGUMENT...: in the background, until its interface is there.
start() {
    igbctl tap "$@" >/tmp/tap.out 2>/tmp/tap.err &
    tap=$!
    until_true 20 grep -q " is vfio:" /tmp/tap.err || fail "$(cat /tmp/tap.err)"
}
# ended STATUS WORDS: it ends, so, and says that.
ended() {
    _status=0
    wait $tap || _status=$?
    [ $_status = "$1" ] || fail "ended with $_status: $(cat /tmp/tap.err)"
    grep -q "$2" /tmp/tap.err || fail "$(cat /tmp/tap.err)"
}
start "vfio:$A" --name igb0
refused 1 "the interface igb0 is in use by another program" "vfio:$B" --name igb0
ip link del igb0
ended 1 "the interface igb0 was deleted under us"

start "vfio:$A" "vfio:$B" --name igb%d --up
until_true 20 carrier igb0 || fail "$(cat /tmp/tap.err)"
until_true 20 carrier igb1 || fail "$(cat /tmp/tap.err)"
# An MTU that no NIC takes, and another address.
ip link set igb1 mtu 20000
until_true 10 grep -q "igb1 is .* MTU 9702" /tmp/tap.err || fail "$(cat /tmp/tap.err)"
[ "$(cat /sys/class/net/igb1/mtu)" = 9702 ] || fail "an MTU of $(cat /sys/class/net/igb1/mtu) is left"
ip link set igb0 address 02:00:00:00:00:99
until_true 10 grep -q "igb0 is .* address 02:00:00:00:00:99" /tmp/tap.err || fail "$(cat /tmp/tap.err)"
kill -INT $tap
ended 130 "stopped by Ctrl-C"
[ ! -e /sys/class/net/igb0 ] || fail "igb0 is still there"

start "vfio:$A" --name kept --persist
ip link set kept mtu 1400
kill $tap
ended 143 "stopped by"
[ "$(cat /sys/class/net/kept/mtu)" = 1400 ] || fail "the interface did not stay"
start "vfio:$A" --name kept
grep -q "MTU 1400" /tmp/tap.err || fail "$(cat /tmp/tap.err)"
kill $tap
ended 143 "stopped by"
ip link del kept
note "refusals, deletion, an MTU too large, and an interface that stays"

# The far end's link goes down while it is opened for another MTU, and comes back: simulated, because QEMU's wires have no link.
igbctl tap sim:/0 sim:/1 --name near --name far --up >/tmp/tap.out 2>/tmp/tap.err &
tap=$!
# The far end is opened after the near one, which may see its link go down by that already.
until_true 20 carrier far || fail "$(cat /tmp/tap.err)"
until_true 20 carrier near || fail "$(cat /tmp/tap.err)"
downs() { grep -c "near: link down" /tmp/tap.err || true; }
before=$(downs)
once_more() { [ "$(downs)" -gt "$before" ]; }
ip link set far mtu 4000
until_true 20 once_more || fail "$(cat /tmp/tap.err)"
until_true 20 carrier near || fail "$(cat /tmp/tap.err)"
kill $tap
ended 143 "stopped by"
note "carrier follows the link, down and up"

# An ordinary user, with an interface that root made for it.
ulimit -l unlimited
chown 65534 "$node"
mkdir -p /etc
echo "nobody:x:65534:65534::/tmp:/bin/sh" >/etc/passwd
nobody="start-stop-daemon -S -c 65534:65534 -x /usr/bin/igbctl --"
chmod 600 /dev/net/tun
_status=0
said=$($nobody tap "vfio:$A" --name igb7 2>&1) || _status=$?
echo "$said" | grep -q "no permission on /dev/net/tun: chmod 0666 /dev/net/tun" || fail "$said"
[ $_status = 4 ] || fail "status $_status"
chmod 0666 /dev/net/tun
_status=0
said=$($nobody tap "vfio:$A" --name igb7 2>&1) || _status=$?
echo "$said" | grep -q "takes CAP_NET_ADMIN" || fail "$said"
[ $_status = 4 ] || fail "status $_status"
mend=$(echo "$said" | sed 's/.*for this user: //')
[ "$mend" = "ip tuntap add dev igb7 mode tap multi_queue user \$USER" ] || fail "$mend"
USER=65534 sh -c "/usr/bin/$mend"
$nobody tap "vfio:$A" --name igb7 --queues 2 >/tmp/tap.out 2>/tmp/tap.err &
tap=$!
ip link set igb7 up
until_true 20 carrier igb7 || fail "$(cat /tmp/tap.err)"
kill $tap
ended 143 "stopped by"
[ -e /sys/class/net/igb7 ] || fail "root's interface is gone"
note "an ordinary user behind an interface of root's"
