# The server with Docker installed and started at boot, and Python, which some deployment tools need on a host: for
# measurements of what comes after packages.
ARG BASE
FROM $BASE
RUN apt-get update \
 && if apt-cache show docker-cli >/dev/null 2>&1; then more=docker-cli; fi \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
      docker.io docker-compose iptables python3 ca-certificates $more \
 && rm -rf /var/lib/apt/lists/*
STOPSIGNAL SIGRTMIN+3
CMD ["/sbin/init"]
