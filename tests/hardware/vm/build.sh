#!/bin/bash
# Makes the guest's kernel and its initramfs, 12 MB kept below $GPIOVM (default ${TMPDIR:-/tmp}/gpiovm), and prints
# the folder. Done once for each version of these files. Needs root, for apt-get. Status 77: not possible here.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
GPIOVM=${GPIOVM:-${TMPDIR:-/tmp}/gpiovm}
cannot() { echo "$*" >&2; exit 77; }

mkdir -p "$GPIOVM"
[ -O "$GPIOVM" ] || cannot "$GPIOVM belongs to another user"
exec 9>"$GPIOVM/build.lock"
flock 9
made=$GPIOVM/$(cat "$here"/{build.sh,init,gpio-sim.patch} | sha256sum | cut -c-12)
if [ -s "$made/initramfs.cpio" ] && type qemu-system-x86_64 gpioset &>/dev/null; then
    echo "$made"
    exit 0
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq || cannot "apt-get cannot update its lists"
kernel=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-6.1[^ ]*\)$/\1/p' | head -1)
[ "$kernel" ] || cannot "apt offers no kernel of Debian 12"
release=${kernel#linux-image-}
version=$(apt-cache policy "$kernel" | sed -n 's/ *Candidate: //p')
apt-get install -y -qq --no-install-recommends qemu-system-x86 gpiod busybox-static cpio kmod gcc-12 make patch \
    xz-utils "linux-headers-$release" >/dev/null || cannot "apt-get cannot install QEMU and the kernel's headers"

work=$(mktemp -d "$GPIOVM/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
# apt's own user may not write here, which is worth a warning to it and none to us.
apt-get download -qq "$kernel=$version" "linux-source-6.1=$version" 2>/dev/null ||
    cannot "apt-get cannot download $kernel and its source"
dpkg-deb -x "$kernel"_*.deb kernel

# Debian's kernels have everything but gpio-sim and the irq_sim it needs: both are built as one module, from
# three files of the same version's source.
mkdir module
dpkg-deb --fsys-tarfile linux-source-6.1_*.deb | tar xO ./usr/src/linux-source-6.1.tar.xz |
    tar xJ -C module --transform 's,.*/,,;s,gpio-sim.c,gpio-sim-main.c,' \
        linux-source-6.1/{drivers/gpio/gpio-sim.c,drivers/gpio/gpiolib.h,kernel/irq/irq_sim.c}
patch -s -p1 -d module <"$here/gpio-sim.patch"
printf '%s\n' 'obj-m := gpio-sim.o' 'gpio-sim-y := gpio-sim-main.o irq_sim.o' >module/Makefile
make -s -C "/lib/modules/$release/build" M="$work/module" modules >&2
strip --strip-debug module/gpio-sim.ko

mkdir -p root/{bin,proc,sys,dev,ro,rw,new,modules}
cp /bin/busybox root/bin/busybox
ln -s busybox root/bin/sh
cp "$here/init" root/init
chmod +x root/init
depmod -b kernel "$release"
for module in virtio_pci 9pnet_virtio 9p overlay configfs virtio_rng virtio_blk ext4 autofs4; do
    modprobe -d "$work/kernel" -S "$release" --show-depends "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
done | awk '!seen[$0]++' >wanted
xargs cp -t root/modules <wanted
cp module/gpio-sim.ko root/modules
{ sed 's,.*/,,' wanted; echo gpio-sim.ko; } >root/modules/order
(cd root && find . | cpio -o -H newc --quiet) >initramfs.cpio
mkdir -p "$made"
mv "kernel/boot/vmlinuz-$release" "$made/vmlinuz"
mv initramfs.cpio "$made"
echo "$made"
