# Runs one program for a test bed and never lets it outlive its owner.
# The owner holds the other end of stdin: each line is a signal to send; its end means the owner is gone.
# Arguments: the program and its arguments. Runs in a process group of its own.
exec 3<&0 </dev/null
"$@" 3<&- &
child=$!
{
    while read -r signal; do
        kill -s "$signal" "$child"
    done <&3
    kill -s KILL "$child"
} 2>/dev/null &
reader=$!
wait "$child"
status=$?
kill -s KILL "$reader" 2>/dev/null
exit "$status"
