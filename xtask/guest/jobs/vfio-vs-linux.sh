# Our driver over VFIO answers the pings of Linux's igb, every length, woken by interrupts.
#: order 4
#: timeout 480
#: binary igb-suite vfio-peer
nic_bind "$A" igb
nic_bind "$B" vfio-pci
interface=$(nic_name "$A")
ip addr add 10.9.0.1/24 dev "$interface"

peer_start answer "$B" 10.9.0.2
nic_up "$interface"
lossless self -c 3 -i 0.2 10.9.0.2
pings=3
size=0
while [ $size -le 1472 ]; do
    lossless self -c 40 -i 0.002 -s $size 10.9.0.2
    pings=$((pings + 40))
    size=$((size + 64))
done
note "$pings pings of up to 1514 bytes, none lost"
peer_stop

# And back: the device works for Linux as if nothing had been.
nic_bind "$B" igb
ip netns add far
far=$(nic_name "$B")
ip link set "$far" netns far
ip -n far addr add 10.9.0.2/24 dev "$far"
nic_up "$far" far
nic_up "$interface"
ip neigh flush dev "$interface"
lossless self -c 5 -i 0.05 10.9.0.2
note "the device is Linux's again, and pings"
