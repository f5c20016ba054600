# Makes an image with Debian's smallest system. Arguments: release, an empty folder, the image's tag.
release=$1 dir=$2 tag=$3
command -v debootstrap >/dev/null || { echo 'debootstrap is missing (package debootstrap)' >&2; exit 127; }
debootstrap --variant=minbase "$release" "$dir/root" >"$dir/log" 2>&1 || { tail -n 20 "$dir/log" >&2; exit 1; }
rm -rf "$dir"/root/var/cache/apt/archives/*.deb "$dir"/root/var/lib/apt/lists/*
tar --directory "$dir/root" --create . | docker import - "$tag" >/dev/null
