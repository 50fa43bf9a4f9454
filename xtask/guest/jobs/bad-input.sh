# What a host may have wrong for VFIO: each is told with the command that mends it, which is then what mends it.
#: order 20
#: timeout 420
#: binary igbctl igbctl
nic_bind "$A" igb
nic_bind "$B" igb
node=/dev/vfio/$(nic_group "$A")

# told STATUS TEXT COMMAND...: the command ends with this status and says this on standard error.
told() {
    _status=$1 _text=$2
    shift 2
    _is=0
    "$@" >/tmp/out 2>/tmp/err || _is=$?
    [ $_is = "$_status" ] || fail "$*: status $_is, not $_status: $(cat /tmp/out /tmp/err)"
    grep -qF -- "$_text" /tmp/err || fail "$*: not '$_text' but: $(cat /tmp/err)"
}
# nobody ARGUMENT...: igbctl as a user without privileges.
mkdir -p /etc
echo "nobody:x:65534:65534::/tmp:/bin/sh" >>/etc/passwd
echo "nogroup:x:65534:" >>/etc/group
nobody() { start-stop-daemon -S -c 65534:65534 -x /usr/bin/igbctl -- "$@"; }

# Modules not loaded: the text after the colon mends it.
told 4 "VFIO is not there: modprobe vfio-pci" igbctl bind "$A"
told 4 "VFIO is not there: modprobe vfio-pci" igbctl rxdrop "vfio:$A" --bind --seconds 1
igbctl doctor "$A" >/tmp/out && fail "the doctor is content without modules"
grep -q -- "-> modprobe vfio-pci" /tmp/out || fail "$(cat /tmp/out)"
modprobe vfio-pci

# In the hands of a kernel driver: named, refused, and left there.
told 4 "igb drives $A, not vfio-pci: igbctl bind $A" igbctl info "vfio:$A"
[ "$(nic_driver "$A")" = igb ] || fail "$A went to $(nic_driver "$A")"
interface=$(nic_name "$A")
ip addr add 10.9.0.1/24 dev "$interface"
told 4 "igbctl bind --force $A" igbctl bind "$A"
grep -q "$interface ($A) has an address or a route" /tmp/err || fail "$(cat /tmp/err)"
ip link set "$interface" up
ip route add default via 10.9.0.2
told 4 "$interface ($A) carries the default route" igbctl bind "$A" "$B"
told 4 "carries the default route" igbctl rxdrop "vfio:$A" --bind --seconds 1
for nic in "$A" "$B"; do [ "$(nic_driver "$nic")" = igb ] || fail "$nic went to $(nic_driver "$nic")"; done
ip addr flush dev "$interface"
ip link set "$interface" down
said=$(nobody bind "$A" 2>&1) && fail "bound by nobody"
echo "$said" | grep -q "that takes root" || fail "$said"
[ "$(nic_driver "$A")" = igb ] || fail "$A went to $(nic_driver "$A")"
note "module, driver, address, default route, not root: told, and nothing changed"

# The part for IOMMUs, which no other module pulls in here. --bind gives the device back after the error.
if [ ! -e /sys/module/vfio_iommu_type1 ]; then
    told 4 "modprobe vfio_iommu_type1" igbctl rxdrop "vfio:$A" --bind --seconds 1
    [ "$(nic_driver "$A")" = igb ] || fail "$A was not given back: $(nic_driver "$A")"
    note "vfio_iommu_type1: told, and the driver restored"
fi
modprobe vfio_iommu_type1

igbctl bind "$A" "$B"
[ "$(cat "/run/igb-vfio/$A")" = igb ] || fail "not remembered"
igbctl list --json | grep -q '"previous_driver": "igb"' || fail "$(igbctl list --json)"

# Permission and locked memory, as an ordinary user.
told 4 "no permission on $node: chown it to this user" nobody info "vfio:$A"
nobody doctor "$A" >/tmp/out 2>/dev/null && fail "the doctor is content without permission"
grep -q -- "-> sudo chown \$USER $node" /tmp/out || fail "$(cat /tmp/out)"
chown 65534 "$node"
(ulimit -l 1024 && told 4 "limit of locked memory, 1048576 bytes: ulimit -l unlimited" nobody info "vfio:$A")
# Enough to open it, too little for eight queues: what the driver calls no memory is the same limit.
(ulimit -l 8192 && told 4 "limit of locked memory, 8388608 bytes" nobody rxdrop "vfio:$A" --queues 8 --seconds 1)
(ulimit -l 8192 && nobody doctor "$A" >/tmp/out 2>/dev/null) && fail "the doctor does not warn of the limit"
grep -q "8388608 bytes: enough for one queue" /tmp/out || fail "$(cat /tmp/out)"
(ulimit -l 65536 && nobody info "vfio:$A" --wait 0 >/dev/null) || fail "an ordinary user with permission and 64 MiB"
chown 0 "$node"
note "permission and locked memory: told to an ordinary user, and mended"

# Claimed twice, by two processes and by one.
igbctl rxdrop "vfio:$A" >/dev/null 2>&1 &
holder=$!
opened() { ls -l "/proc/$holder/fd" | grep -q "$node"; }
until_true 20 opened || fail "nobody opened $node"
told 4 "$node is in use by process $holder (igbctl): end it first" igbctl info "vfio:$A"
told 4 "$node is in use by process $holder (igbctl): end it first" igbctl unbind "$A"
igbctl doctor "$A" >/tmp/out 2>/dev/null || true
grep -q "process $holder (igbctl) has it open" /tmp/out || fail "$(cat /tmp/out)"
kill -TERM $holder
_is=0
wait $holder || _is=$?
[ $_is = 143 ] || fail "SIGTERM while waiting for a link: status $_is"
told 2 "are one port: name two" igbctl fwd "vfio:$A" "vfio:$A"
note "claimed twice: told who has it"

# Fewer vectors than queues: it works, and says so. This device has 10.
told 0 "10 interrupt vectors (MSI-X) of 17 asked for, so queues share: --queues 9 has one for each" \
    igbctl rxdrop "vfio:$A" --queues 16 --seconds 0.1
note "$(cat /tmp/err)"

# With modules, permission and group the doctor has nothing left to say but of the far end.
igbctl doctor "$A" || fail "the doctor of a ready device: status $?"
igbctl doctor >/dev/null || fail "the doctor of a ready machine: status $?"
igbctl unbind "$A" "$B"
for nic in "$A" "$B"; do [ "$(nic_driver "$nic")" = igb ] || fail "$nic went to $(nic_driver "$nic")"; done
[ ! -e "/run/igb-vfio/$A" ] || fail "still remembered"
[ -n "$(nic_name "$A")" ] || fail "no interface after the device came back to igb"
