#!/bin/sh
# Gathers real Python from Debian's packages: the standard library, and packages that are all or mostly Python.
# Usage: recipes/debian-python.sh OUT [PACKAGES]
#   OUT        folder to make: text/PACKAGE/... holds .py files, licences/PACKAGE the copyright file of each package
#   PACKAGES   file with a package a line (default: packages.txt beside this script)
# Needs apt-get and dpkg-deb, as any Debian has them; installs nothing. OUT/versions.txt says which versions were served.
set -eu

if [ $# -lt 1 ] || [ -e "$1" ]; then
    echo "usage: $0 OUT [PACKAGES]; OUT must not exist" >&2
    exit 2
fi

out=$1
packages=$(realpath "${2:-$(dirname "$0")/packages.txt}")
mkdir -p "$out/debs" "$out/text" "$out/licences"
cd "$out"

# At most this many bytes of a package, so that a few large ones do not drown the others; the standard library is taken whole.
most=1200000

(cd debs && xargs -n 20 apt-get download -q < "$packages")
ls debs > versions.txt

# What shuf draws its order from: the same each time.
seq 2000000 > order

for deb in debs/*.deb; do
    name=$(basename "$deb" | sed 's/_.*//')
    mkdir all
    # tar ends with 2 where an archive holds no such file.
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C all --wildcards '*.py' 2> /dev/null || true
    dpkg-deb --fsys-tarfile "$deb" | tar -x -O --wildcards './usr/share/doc/*/copyright' > "licences/$name" 2> /dev/null || true
    limit=$most
    [ "$name" = libpython3.11-stdlib ] && limit=1000000000
    mkdir -p "text/$name"
    (
        cd all
        find . -type f -name '*.py' -size +1 -size -200 -printf '%s %p\n' | sort | shuf --random-source=../order \
            | awk -v limit="$limit" '{ sum += $1; if (sum > limit) exit; print $2 }' | xargs -r cp --parents -t "../text/$name"
    )
    rm -rf all
done

rm -rf debs order
du -sh text
