# Finds what Kafka needs on a host. Sets $java, $java_major, $maven and $libs, each empty when absent.
# The caller sets $unpacked (kafka.home, or empty), $version and $pinned (the version and digest of the pinned jars).

java= java_major=
for candidate in ${JAVA_HOME:+"$JAVA_HOME/bin/java"} "$(command -v java)"; do
    [ -x "$candidate" ] && { java=$(readlink -f "$candidate"); break; }
done
if [ -n "$java" ]; then
    release=${java%/bin/java}/release
    if [ -r "$release" ]; then
        java_major=$(sed -n 's/^JAVA_VERSION="\(1\.\)\{0,1\}\([0-9]*\).*/\2/p' "$release")
    else
        java_major=$("$java" -version 2>&1 | sed -n '1s/.*version "\(1\.\)\{0,1\}\([0-9]*\).*/\2/p')
    fi
fi
maven=$(command -v mvn)

cache=${XDG_CACHE_HOME:-$HOME/.cache}/provision
unpacked=${unpacked:-${KAFKA_HOME:-}}
if [ -n "$unpacked" ]; then
    home=$unpacked
else
    home=$cache/kafka-$version-$pinned
fi
libs=
[ -d "$home/libs" ] && libs=$home/libs
