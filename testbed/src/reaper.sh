# Waits until the owner of a test bed has ended, then removes what is marked as its own.
# Arguments: label, owner, the owner's folder, the folder of locks. The owner holds the other end of stdin.
label=$1 owner=$2 dir=$3 locks=$4
exec 8>"$locks/docker-start" 9>"$locks/docker-users"
flock --shared 9
read -r _

if command -v docker >/dev/null && docker info >/dev/null 2>&1; then
    docker ps --all --quiet --filter "label=$label=$owner" | xargs -r docker rm --force --volumes
    docker network ls --quiet --filter "label=$label=$owner" | xargs -r docker network rm
fi

for route in "$dir"/route-*; do
    [ ! -e "$route" ] || ip route del unreachable "${route##*/route-}/24"
done

# The owner's processes are ended by their own supervisors at this same moment; until then they may still write.
tries=0
until rm -rf -- "$dir" || [ "$tries" -ge 50 ]; do
    tries=$((tries + 1))
    sleep 0.1
done

# The last test bed stops the engine, if it was a test bed that started it.
flock 8
pid_file=$locks/../dockerd.pid
if flock --nonblock 9 && pid=$(cat "$pid_file") && [ "$(cat "/proc/$pid/comm")" = dockerd ]; then
    kill "$pid"
    while [ -e "/proc/$pid" ] && [ "$(cut -d ' ' -f 3 "/proc/$pid/stat")" != Z ]; do sleep 0.1; done
fi
