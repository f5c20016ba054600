# Looks at all containers, running or not. $format and $socket are set by the caller.
command -v docker >/dev/null 2>&1 || exit 0

# Docker's client takes longer to start than everything that is looked at beside it. Where it would ask the engine of this
# machine, perl asks the same; why the engine does not answer, the client says better.
if [ -z "${DOCKER_HOST-}${DOCKER_CONTEXT-}" ] && [ ! -e "${DOCKER_CONFIG:-$HOME/.docker}/config.json" ] &&
    [ -S "$socket" ]; then
    said=$(perl -e '
        alarm 20;
        # AF_UNIX and SOCK_STREAM; where they have other numbers, the client is asked.
        socket(S, 1, 1, 0) && connect(S, pack("Sa*", 1, $ARGV[0])) || exit 1;
        syswrite S, "GET /containers/json?all=1 HTTP/1.0\r\n\r\n";
        local $/;
        <S> =~ m{^HTTP/\S+ 200 .*?\r\n\r\n(\[.*\])\s*$}s || exit 1;
        print $1;
    ' -- "$socket" 2>/dev/null)
    case $? in
    0) printf '%s\n' engine=answers "containers=$said"; exit 0 ;;
    # SIGALRM, as most shells say it and as Korn's does.
    142|270) echo 'engine_error=no answer within 20 s'; exit 0 ;;
    esac
fi

said=$(timeout 20 docker ps --all --format "$format" 2>&1)
case $? in
0) printf '%s\n' engine=answers "$said" ;;
124) echo 'engine_error=no answer within 20 s' ;;
*) echo "engine_error=$(echo $said)" ;;
esac
