# Looks at Docker. $answers is set by the caller: `no` for an engine that was asked already and does not answer. Of one
# that does, files may say what it and systemd would.
client=absent
# A snap's commands are in the path of some logins only, and its engine takes the socket in any case.
if path=$(command -v docker) || { path=/snap/bin/docker && [ -L "$path" ]; }; then
    client=docker program=$path
    [ ! -L "$path" ] || program=$(readlink -f "$path")
fi
plugin_file=/usr/libexec/docker/cli-plugins/docker-compose

# Docker's programs take a while to say what they are. Packages say it at once, of a file that is still theirs.
owned=
cd /var/lib/dpkg/info 2>/dev/null && for line in $(grep -sx -e /usr/bin/docker -e /usr/bin/dockerd -e /usr/sbin/dockerd \
    -e "$plugin_file" docker.io.list docker-cli.list docker-ce.list docker-ce-cli.list docker-compose.list \
    docker-compose-plugin.list docker-compose-v2.list); do
    list=${line%%:*} file=${line#*:}
    if [ -x "$file" ] && [ "$list" -nt "$file" ]; then owned="$owned $file=${list%.list}"; fi
done

# Sets $found to what stands behind $1= in the words of $2, to nothing if it does not.
find_in() {
    found=
    case " $2" in *" $1="*) found=" $2" found=${found#*" $1="} found=${found%% *} ;; esac
}

client_package=
if [ "$client" = docker ]; then
    find_in "$program" "$owned"
    client_package=$found
    case $program in
    */snap|/snap/*) client=snap ;;
    *podman*) client=podman ;;
    # Podman's stand-in is a script.
    *)
        if [ -z "$client_package" ] && [ "$(head -c 2 -- "$path")" = '#!' ] && grep -qi podman -- "$path"; then
            client=podman
        fi
        ;;
    esac
fi
echo "client=$client"

# The process id of the engine on this machine, if that is the one which the client asks: one of Docker's own that was
# told of no other.
home=${DOCKER_CONFIG:-$HOME/.docker}
engine=
if [ "$answers" = yes ] && [ -n "$client_package" ] && [ -z "${DOCKER_HOST-}${DOCKER_CONTEXT-}" ] &&
    [ ! -e "$home/config.json" ]; then
    { read -r engine </run/docker.pid; } 2>/dev/null
fi

if [ "$client" = docker ]; then
    # What runs may be older than what is installed.
    engine_package=
    for file in /usr/sbin/dockerd /usr/bin/dockerd; do
        if [ -n "$engine" ] && [ "/proc/$engine/exe" -ef "$file" ]; then
            find_in "$file" "$owned"
            engine_package=$found
        fi
    done
    find_in "$plugin_file" "$owned"
    plugin_package=$found
    # A plugin in a folder of root's own, or of the machine's, goes before that of a package.
    for folder in "$home" /usr/local/lib/docker /usr/local/libexec/docker; do
        [ ! -e "$folder/cli-plugins/docker-compose" ] || plugin_package=
    done
    versions=
    if [ -n "$engine_package$plugin_package" ]; then
        versions=$(dpkg-query -W -f '${Package}=${Version} ' $engine_package $plugin_package 2>/dev/null)
    fi

    find_in "$engine_package" "$versions"
    if [ -n "$found" ]; then
        echo "engine=${found#*:}"
    elif [ "$answers" = yes ]; then
        said=$(timeout 20 docker version --format 'engine={{.Server.Version}}' 2>&1)
        case $? in
        0) echo "$said" ;;
        124) echo "engine_error=no answer within 20 s" ;;
        *) echo "engine_error=$(echo $said)" ;;
        esac
    fi
    find_in "$plugin_package" "$versions"
    plugin=${found#*:}
    [ -n "$plugin" ] || plugin=$(timeout 10 docker compose version --short 2>/dev/null)
    echo "plugin=$plugin"
    if [ -z "$plugin" ] && path=$(command -v docker-compose); then
        # The old program takes half a second to say its version; the package says it at once.
        [ "$path" = /usr/bin/docker-compose ] && version=$(dpkg-query -W -f '${Version}' docker-compose 2>/dev/null) ||
            version=$(docker-compose version --short 2>/dev/null)
        echo "standalone=$version"
    fi
fi

# Whether the unit is enabled and runs, as can be seen without systemd, which takes milliseconds to say so.
is_up() {
    [ -n "$engine" ] && [ -L /etc/systemd/system/multi-user.target.wants/docker.service ] || return 1
    [ -e /usr/lib/systemd/system/docker.service ] || [ -e /lib/systemd/system/docker.service ] || return 1
    # Where a mask would be, and what goes before the unit of a package.
    for folder in /etc/systemd/system /run/systemd/system /etc/systemd/system.control /run/systemd/system.control; do
        if [ -e "$folder/docker.service" ] || [ -L "$folder/docker.service" ]; then return 1; fi
    done
    while read -r group; do
        case $group in */system.slice/docker.service) return 0 ;; esac
    done <"/proc/$engine/cgroup"
    return 1
}
if [ -d /run/systemd/system ]; then
    if is_up 2>/dev/null; then
        printf '%s=yes\n' unit enabled active
    else
        enabled=$(systemctl is-enabled docker.service 2>/dev/null) || true
        case $enabled in ''|not-found) ;; *) echo unit=yes ;; esac
        case $enabled in enabled*) echo enabled=yes ;; masked*) echo masked=yes ;; esac
        if systemctl is-active --quiet docker.service; then echo active=yes; fi
    fi
fi
if command -v apt-get >/dev/null 2>&1; then echo apt=yes; fi
if [ -e /var/lib/dpkg/info/docker-ce.list ] &&
    dpkg-query -W -f '${Status}\n' docker-ce 2>/dev/null | grep -q '^install ok'; then echo vendor=yes; fi
