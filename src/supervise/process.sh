# Verbs for one supervised process. $folder and $name are set by the caller; so is what each verb says it needs.
# $folder/$name.pid holds one line: process id, its start time (proc(5), field 22 of stat), boot id, digest. Process id,
# start time and boot id together are never used twice, so a recycled process id is never taken for ours.
pid_file=$folder/$name.pid

# Sets $pid, $started, $boot and $digest from the file. 0: it runs; 1: it was started and is gone; 2: never started.
look() {
    pid= started= boot= digest=
    [ -r "$pid_file" ] || return 2
    read -r pid started boot digest <"$pid_file" || return 2
    [ "$boot" = "$(cat /proc/sys/kernel/random/boot_id)" ] || return 1
    { stat=$(cat "/proc/$pid/stat"); } 2>/dev/null || return 1
    # The program's name may hold spaces and parentheses; what follows the last one is fields 3 and on.
    set -- ${stat##*) }
    [ "$1" != Z ] && [ "${20}" = "$started" ]
}

# Prints the state for people who parse it: `running PID DIGEST`, `dead` or `absent`.
report() {
    look
    case $? in
    0) echo "running $pid $digest" ;;
    1) echo dead ;;
    *) echo absent ;;
    esac
}

# Ends it: SIGTERM, $grace seconds, SIGKILL. Fails only when it survives that.
stop() {
    look || { rm -f "$pid_file"; return 0; }
    kill -s TERM "$pid" 2>/dev/null
    tries=$((grace * 10))
    while look; do
        [ "$tries" -gt 0 ] || break
        tries=$((tries - 1))
        sleep 0.1
    done
    if look; then
        kill -s KILL "$pid" 2>/dev/null
        tries=100
        while look && [ "$tries" -gt 0 ]; do
            tries=$((tries - 1))
            sleep 0.1
        done
    fi
    look && { echo "process $pid did not end" >&2; return 1; }
    rm -f "$pid_file"
}

# Keeps what the program prints: at most twice 32 MiB, in $name.out and, older, $name.out.1. Ends when nobody can print
# any more, and takes its pipe away then.
keep() {
    setsid env -i PATH=/usr/local/bin:/usr/bin:/bin LANG=C /bin/sh -c '
        pipe=$1 out=$2
        while :; do
            # 4 MiB at most, and far less of short lines, since a read takes what is there: the size of the file counts.
            if said=$(dd bs=4096 count=1024 2>&1 >>"$out"); then
                # Whole and partial reads, `1022+2 records in`, perhaps behind a warning.
                read=${said%% records in*}
                read=${read##*[!0-9+]}
                [ "$((${read%+*} + ${read#*+}))" -ge 1024 ] || break
                size=$(stat -c %s "$out") && [ "$size" -gt $((28 << 20)) ] || continue
            else
                # A full disk: the older file makes room.
                sleep 1
            fi
            mv -f "$out" "$out.1"
        done
        rm -f "$pipe"
    ' sh "$1" "$folder/$name.out" <"$1" >/dev/null 2>&1 3>&- &
}

# Starts "$@" in a session of its own, with nothing of our environment, as $started_from says. The program takes the
# place of the shell that wrote down its process id, so the file is never about anything else.
start() {
    umask 077
    rm -f "$pid_file"
    [ -e "$folder/$name.out" ] && mv -f "$folder/$name.out" "$folder/$name.out.1"
    # A name of its own: what kept the output of the process before takes that one's pipe away when it gets to it.
    rm -f "$folder/$name".*.pipe
    pipe=$folder/$name.$$.pipe
    mkfifo "$pipe" || return 1
    keep "$pipe"
    setsid env -i PATH=/usr/local/bin:/usr/bin:/bin HOME="$folder" LANG=C.UTF-8 /bin/sh -c '
        file=$1 digest=$2
        shift 2
        stat=$(cat "/proc/$$/stat")
        started=$(echo "${stat##*) }" | cut -d " " -f 20)
        boot=$(cat /proc/sys/kernel/random/boot_id)
        echo "$$ $started $boot $digest" >"$file.new" && mv "$file.new" "$file" && exec "$@"
    ' sh "$pid_file" "$started_from" "$@" </dev/null >"$pipe" 2>&1 3>&- &
    tries=100
    until [ -e "$pid_file" ]; do
        [ "$tries" -gt 0 ] || { last_words >&2; return 1; }
        tries=$((tries - 1))
        sleep 0.05
    done
}

# The last lines of what it printed; all of them, once it has ended.
last_words() {
    tries=100
    while ! look && set -- "$folder/$name".*.pipe && [ -p "$1" ] && [ "$tries" -gt 0 ]; do
        tries=$((tries - 1))
        sleep 0.05
    done
    [ ! -e "$folder/$name.out" ] || tail -n 20 "$folder/$name.out"
}

# Waits until the command "$@" succeeds, for $patience seconds at most; ends early when the process does.
# 3: the process ended; 4: it runs and the command still fails.
await() {
    deadline=$(($(date +%s) + patience))
    until timeout 10 "$@" >/dev/null 2>&1; do
        look || return 3
        [ "$(date +%s)" -lt "$deadline" ] || return 4
        sleep 0.1
    done
    # What answered may be another program on the same port.
    look || return 3
}
