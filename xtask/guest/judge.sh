# What Linux's igb and its tools say of two NICs on a wire. Checks tell what they found wrong and return 1; what Linux
# would not notice by itself is compared here: counters, lengths, interrupts, queues, resets.

# Two namespaces, one NIC each: $one is the interface of the first, $two of the second.

# rebind ADDRESS: from no driver to igb; fails if igb gives up.
rebind() {
    echo 0 >/sys/bus/pci/drivers_autoprobe
    modprobe igb
    [ ! -e "/sys/bus/pci/devices/$1/driver" ] || echo "$1" >"/sys/bus/pci/devices/$1/driver/unbind"
    echo igb >"/sys/bus/pci/devices/$1/driver_override"
    echo "$1" >/sys/bus/pci/drivers_probe 2>/dev/null || :
    [ "$(nic_driver "$1")" = igb ]
}

# complaints_of_igb: what igb said in the kernel's log since it was last cleared that is no greeting.
complaints_of_igb() {
    dmesg | grep -E 'igb|NETDEV WATCHDOG' | grep -iE 'fail|error|hang|time.?out|not valid|unable|invalid|warn|lost' || :
}

# pair_up ADDRESS ADDRESS: probe, namespaces, addresses, link.
pair_up() {
    dmesg -c >/dev/null
    rebind "$1" || { echo "igb does not take $1: $(complaints_of_igb | tail -n 1)"; return 1; }
    rebind "$2" || { echo "igb does not take $2: $(complaints_of_igb | tail -n 1)"; return 1; }
    one=$(nic_name "$1") two=$(nic_name "$2")
    [ -n "$one" ] && [ -n "$two" ] || { echo "no interface"; return 1; }
    _said=$(complaints_of_igb)
    [ -z "$_said" ] || { echo "igb complains: $_said"; return 1; }
    for _side in one two; do
        ip netns add $_side
        eval "_interface=\$$_side"
        ip link set "$_interface" netns $_side
        ip -n $_side link set lo up
    done
    ip -n one addr add 10.9.0.1/24 dev "$one"
    ip -n two addr add 10.9.0.2/24 dev "$two"
    ip -n one addr add fd09::1/64 dev "$one" nodad
    ip -n two addr add fd09::2/64 dev "$two" nodad
    ip -n one link set "$one" up || { echo "$one does not open"; return 1; }
    ip -n two link set "$two" up || { echo "$two does not open"; return 1; }
    until_true 10 ip netns exec one grep -q 1 "/sys/class/net/$one/carrier" || { echo "no link on the first"; return 1; }
    until_true 10 ip netns exec two grep -q 1 "/sys/class/net/$two/carrier" || { echo "no link on the second"; return 1; }
    for _side in one two; do
        eval "_interface=\$$_side"
        _speed=$(ip netns exec $_side cat "/sys/class/net/$_interface/speed")
        [ "$_speed" = 1000 ] || { echo "$_interface has a link at $_speed Mb/s"; return 1; }
    done
}

# pair_down: the NICs back, the namespaces gone.
pair_down() {
    for _side in one two; do
        eval "_interface=\${$_side:-}"
        ip -n $_side link del tagged >/dev/null 2>&1 || :
        [ -z "$_interface" ] || ip -n $_side link set "$_interface" down netns 1 >/dev/null 2>&1 || :
        ip netns del $_side >/dev/null 2>&1 || :
    done
    one='' two=''
}

# pings ARGUMENT...: from the first; one lost is wrong.
pings() {
    _said=$(ip netns exec one ping -q -W 5 "$@" 2>&1) || :
    case $_said in
    *" 0% packet loss"*) ;;
    *) echo "ping $*: $(echo "$_said" | grep transmitted || echo "no answer")"; return 1 ;;
    esac
}

check_ping() {
    pings -c 20 -i 0.01 10.9.0.2 && pings -c 5 -i 0.01 -s 1472 10.9.0.2
}

# Neighbours are found by multicast.
check_ipv6() {
    ip -n one neigh flush dev "$one"
    ip -n two neigh flush dev "$two"
    pings -6 -c 5 -i 0.01 fd09::2
}

check_vlan() {
    for _side in one two; do
        eval "_interface=\$$_side"
        ip -n $_side link add link "$_interface" name tagged type vlan id 42
        ip -n $_side link set tagged up
    done
    ip -n one addr add 10.42.0.1/24 dev tagged
    ip -n two addr add 10.42.0.2/24 dev tagged
    pings -c 5 -i 0.01 10.42.0.2
}

gone() { ! kill -0 "$1" 2>/dev/null; }

# sent_again NAMESPACE: TCP segments that had to be sent again, so far.
sent_again() { ip netns exec "$1" awk '$1 == "Tcp:" && $2 ~ /^[0-9]/ { print $13 }' /proc/net/snmp; }

# check_tcp FROM TO ADDRESS MIB [SECONDS]: the same bytes arrive, and few of them twice: TCP would mend much by itself.
check_tcp() {
    _before=$(sent_again "$1")
    [ "$(stat -c %s /tmp/sent 2>/dev/null)" = $(($4 << 20)) ] ||
        dd if=/dev/urandom of=/tmp/sent bs=1M count="$4" 2>/dev/null
    [ -e /tmp/hold ] || mkfifo /tmp/hold
    # A listener whose input ends closes its side, and the sender gives up what it has not sent.
    exec 5<>/tmp/hold
    ip netns exec "$2" nc -l -p 7001 </tmp/hold >/tmp/received &
    _listener=$!
    until_true 5 ip netns exec "$2" grep -qi ':1B59 .* 0A' /proc/net/tcp /proc/net/tcp6 || { echo "nobody listens"; return 1; }
    # The listener ends when the sender has closed and all has arrived.
    if timeout "${5:-60}" /usr/bin/ip netns exec "$1" nc "$3" 7001 </tmp/sent >/dev/null; then
        until_true "${5:-60}" gone $_listener || :
    fi
    kill $_listener 2>/dev/null || :
    wait $_listener 2>/dev/null || :
    exec 5>&-
    cmp -s /tmp/sent /tmp/received || {
        echo "TCP from $1: $(stat -c %s /tmp/received) of $(stat -c %s /tmp/sent) bytes, or others"
        return 1
    }
    _again=$(($(sent_again "$1") - _before))
    [ $_again -lt 100 ] || { echo "TCP from $1: $_again segments sent again"; return 1; }
}

# counts: every counter of both, into /tmp/one.PHASE and /tmp/two.PHASE.
counts() {
    ip netns exec one ethtool -S "$one" >"/tmp/one.$1"
    ip netns exec two ethtool -S "$two" >"/tmp/two.$1"
}

# balance FROM TO: the controllers' own counters against each other and against what the driver counted frame by frame,
# since the phase before. Octets on the wire have a CRC of four bytes.
balance() {
    awk '
        FNR == 1 { file++ }
        { sub(":", "", $1) }
        file == 1 { sent[$1] -= $2 }
        file == 2 { sent[$1] += $2 }
        file == 3 { got[$1] -= $2 }
        file == 4 {
            got[$1] += $2
            if ($1 ~ /^rx_queue_[0-9]+_packets$/) frames += got[$1]
            if ($1 ~ /^rx_queue_[0-9]+_bytes$/) bytes += got[$1]
            if ($1 ~ /(errors|csum_err|no_buffer_count|dropped|missed)/ && got[$1] > 0) wrong = wrong " " $1 "=" got[$1]
        }
        END {
            if (sent["tx_packets"] != got["rx_packets"]) wrong = wrong " sent " sent["tx_packets"] ", received " got["rx_packets"]
            if (got["rx_packets"] != frames) wrong = wrong " counted " got["rx_packets"] " frames, delivered " frames
            if (got["rx_bytes"] != bytes + 4 * frames) wrong = wrong " counted " got["rx_bytes"] " octets, delivered " bytes " in " frames
            if (frames < 20) wrong = wrong " only " frames " frames"
            if (wrong) { print "counters:" wrong; exit 1 }
        }' "/tmp/$1.before" "/tmp/$1.after" "/tmp/$2.before" "/tmp/$2.after"
}

check_counters() {
    # Groups that the other side did not join would be sent and not counted there.
    ip -n one link set "$one" allmulticast on
    ip -n two link set "$two" allmulticast on
    # A frame may be on its way while the two sides are read, one after the other.
    for _try in 1 2 3; do
        counts before
        pings -c 20 -i 0.01 -s 600 10.9.0.2 || return 1
        sleep 2.5 # the driver reads them too meanwhile, which must not count twice
        counts after
        if _said=$(balance one two && balance two one); then
            ip -n one link set "$one" allmulticast off
            ip -n two link set "$two" allmulticast off
            return 0
        fi
    done
    echo "$_said"
    return 1
}

# Good checksums that the controller calls wrong: Linux computes them again, and counts.
check_tcp_counters() {
    counts before
    check_tcp one two 10.9.0.2 1 || return 1
    counts after
    for _side in one two; do
        awk -v side="$_side" '
            FNR == 1 { file++ }
            file == 1 { count[$1] = $2 }
            file == 2 && /csum_err/ && $2 > count[$1] { print side ": " $1 " " $2 - count[$1]; exit 1 }
        ' "/tmp/$_side.before" "/tmp/$_side.after" || return 1
    done
}

# interrupts INTERFACE: how many so far, on every processor.
interrupts() {
    awk -v name="$1" '$NF ~ "^" name "(-|$)" { for (i = 2; i <= NF && $i ~ /^[0-9]+$/; i++) sum += $i } END { print sum + 0 }' /proc/interrupts
}

# A message masks its vector until the driver has polled: a frame costs one interrupt at most, less if polls see several.
check_interrupts() {
    _before=$(interrupts "$two")
    pings -c 100 -i 0.01 10.9.0.2 || return 1
    _count=$(($(interrupts "$two") - _before))
    # 100 frames in, 100 out; the timer of the driver raises every vector twice a second.
    [ $_count -ge 20 ] && [ $_count -le 240 ] || { echo "$_count interrupts for 200 frames"; return 1; }
}

# register ADDRESS OFFSET [VALUE]: BAR 0 past the driver.
register() {
    _bar=$(awk 'NR == 1 { print $1 }' "/sys/bus/pci/devices/$1/resource")
    devmem $((_bar + $2)) 32 ${3:+"$3"}
}

# rss_ports QUEUE: twenty ports of the first from which connections to port 81 of the second belong to that queue, by the
# key, the table, and Microsoft's hash over addresses and ports, computed here.
rss_ports() {
    awk -v keys="$(cat /tmp/key)" -v wanted="$1" '
        # This awk has no powers and no exclusive or.
        BEGIN { for (power[0] = i = 1; i < 8; i++) power[i] = 2 * power[i - 1] }
        function bit(word, place) { return int(word / power[place]) % 2 }
        function byte(value,   place) { for (place = 7; place >= 0; place--) input[++bits] = bit(value, place) }
        function digit(letter) { return index("0123456789ABCDEF", toupper(letter)) - 1 }
        /^ *[0-9]+:/ { for (i = 2; i <= NF; i++) table[entries++] = $i }
        END {
            # The registers hold the key little endian.
            words = split(keys, key)
            for (w = 1; w <= words; w++) {
                for (b = 3; b >= 0; b--) {
                    value = digit(substr(key[w], 2 * b + 3, 1)) * 16 + digit(substr(key[w], 2 * b + 4, 1))
                    for (place = 7; place >= 0; place--) stream[++long] = bit(value, place)
                }
            }
            for (port = 20000; port < 20200 && found < 20; port++) {
                bits = 0
                byte(10); byte(9); byte(0); byte(1); byte(10); byte(9); byte(0); byte(2)
                byte(int(port / 256)); byte(port % 256); byte(0); byte(81)
                # The low seven bits of the hash choose the entry.
                entry = 0
                for (place = 26; place <= 32; place++) {
                    sum = 0
                    for (i = 1; i <= bits; i++) if (input[i]) sum += stream[i + place - 1]
                    entry = 2 * entry + sum % 2
                }
                if (table[entry] == wanted) { print port; found++ }
            }
        }' /tmp/table
}

# check_rss ADDRESS: connections from chosen ports arrive on the queue that they belong to.
check_rss() {
    _word=0
    while [ $_word -lt 10 ]; do
        register "$1" $((0x5c80 + 4 * _word))
        _word=$((_word + 1))
    done >/tmp/key
    ip netns exec two ethtool -x "$two" >/tmp/table
    ip -n one neigh replace 10.9.0.2 lladdr "$(ip netns exec two cat "/sys/class/net/$two/address")" nud permanent dev "$one"
    for _queue in 0 1; do
        _ports=$(rss_ports $_queue)
        [ "$(echo $_ports | wc -w)" = 20 ] || { echo "RSS: no twenty ports for queue $_queue"; return 1; }
        ip netns exec two ethtool -S "$two" >/tmp/before
        # Nobody listens: one frame there, one back. This nc takes whatever port the kernel gives it.
        ip netns exec one sh -c 'for port; do
            echo $port $port >/proc/sys/net/ipv4/ip_local_port_range
            nc -w 2 10.9.0.2 81 </dev/null 2>/dev/null
        done
        echo 32768 60999 >/proc/sys/net/ipv4/ip_local_port_range' ports $_ports
        ip netns exec two ethtool -S "$two" >/tmp/after
        # A few frames of others may fall in between.
        awk -v queue=$_queue '
            FNR == 1 { file++ }
            /rx_queue_[0-9]+_packets/ {
                gsub(/[^0-9 ]/, " ")
                if (file == 1) before[$1] = $2
                else if ($1 == queue) own = $2 - before[$1]
                else others += $2 - before[$1]
            }
            END {
                if (own < 19 || own > 26 || others > 6) {
                    print "RSS: of 20 connections for queue " queue " " own " frames arrived there and " others + 0 " elsewhere"
                    exit 1
                }
            }' /tmp/before /tmp/after || return 1
    done
}

# check_reset NAMESPACE INTERFACE ADDRESS: TIPG, which the driver leaves alone, falls back when the interface restarts.
check_reset() {
    _first=$(register "$3" 0x410)
    register "$3" 0x410 0x00702008 >/dev/null
    [ "$(register "$3" 0x410)" = 0x00702008 ] || { echo "TIPG does not keep what is written"; return 1; }
    ip -n "$1" link set "$2" down
    ip -n "$1" link set "$2" up
    _now=$(register "$3" 0x410)
    [ "$_now" = "$_first" ] || { echo "TIPG is $_now after a reset, and was $_first"; return 1; }
    until_true 10 ip netns exec "$1" grep -q 1 "/sys/class/net/$2/carrier" || { echo "no link after a restart"; return 1; }
}

# check_selftest NAMESPACE INTERFACE offline|online: ethtool's own; what is asked for must be what is done.
check_selftest() {
    dmesg -c >/dev/null
    _said=$(timeout 60 /usr/bin/ip netns exec "$1" ethtool -t "$2" offline 2>&1) || :
    case $_said in
    *"The test result is PASS"*) ;;
    *) echo "self-test: $(echo "$_said" | grep -E '[1-9][0-9]*$' | tr '\n\t' '; ')"; return 1 ;;
    esac
    if [ "$3" = offline ]; then
        dmesg | grep -q 'offline testing starting' || { echo "the offline test did not take place"; return 1; }
    fi
    until_true 10 ip netns exec "$1" grep -q 1 "/sys/class/net/$2/carrier" || { echo "no link after the self-test"; return 1; }
}

check_quiet() {
    _said=$(complaints_of_igb)
    [ -z "$_said" ] || { echo "igb complains: $_said"; return 1; }
}

# ill ADDRESS FAULT: plants a fault in a simulated chip, by the window of its laboratory.
ill() {
    _config=/sys/bus/pci/devices/$1/config
    printf '%s\0' "$2" | dd of="$_config" bs=1 seek=$((0xf00)) conv=notrunc 2>/dev/null
    printf '\001' | dd of="$_config" bs=1 seek=$((0xf40)) conv=notrunc 2>/dev/null
    [ "$(dd if="$_config" bs=1 skip=$((0xf44)) count=1 2>/dev/null | hexdump -e '1/1 "%d"')" = 0 ] ||
        fail "$1 knows no fault named $2"
}

# healthy ADDRESS: takes every fault away, with the power off and on again; no driver may have the chip.
healthy() {
    [ ! -e "/sys/bus/pci/devices/$1/driver" ] || echo "$1" >"/sys/bus/pci/devices/$1/driver/unbind"
    printf '\002' | dd of="/sys/bus/pci/devices/$1/config" bs=1 seek=$((0xf40)) conv=notrunc 2>/dev/null
}

# violations ADDRESS: rules that the driver of a simulated chip has broken since the chip was made.
violations() {
    dd if="/sys/bus/pci/devices/$1/config" bs=4 skip=$((0xf48 / 4)) count=1 2>/dev/null | hexdump -e '1/4 "%d"'
}
