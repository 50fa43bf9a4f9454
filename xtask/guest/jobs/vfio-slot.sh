# A slot is switched off under a running driver, over VFIO: it hears of it and closes; its peer lives on.
#: order 13
#: timeout 300
#: binary igb-suite vfio-suite
modprobe vfio_iommu_type1
modprobe vfio-pci
vfio-suite bind "$A"
vfio-suite bind "$B"
# Both, for there is no link without the other.
vfio-suite hold "$A" >/tmp/a 2>&1 &
a=$!
vfio-suite hold "$B" >/tmp/b 2>&1 &
b=$!
until_true 20 grep -q holding /tmp/b || fail "$B: $(cat /tmp/b)"
slot=
for one in /sys/bus/pci/slots/*; do
    if [ "$(cat "$one/address").0" = "$B" ]; then slot=$one; fi
done
[ -n "$slot" ] || fail "$B is in no slot"
echo 0 >"$slot/power"
wait $b || fail "$(cat /tmp/b)"
grep -q "notice: Release" /tmp/b || fail "$(cat /tmp/b)"
said=$(vfio-suite check "$B") && fail "opened what is switched off"
echo "$said" | grep -q "there is no PCI function $B" || fail "$said"
kill -0 $a || fail "the other port's process did not live on: $(cat /tmp/a)"
kill -9 $a
# QEMU takes a device out for good when its slot is switched off in the polite order, so nothing comes back.
note "slot off under traffic"
