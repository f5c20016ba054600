# A bare server as a cloud gives it: systemd, sshd, sudo, no Docker, no curl. Everything that differs between two hosts
# (users, keys, host keys) is made when the host starts.
ARG BASE
FROM $BASE
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
      systemd systemd-sysv dbus openssh-server sudo iproute2 gnupg \
 && rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_* /etc/machine-id \
 && touch /etc/machine-id \
 && systemctl mask console-getty.service getty@tty1.service systemd-modules-load.service \
 && systemctl disable ssh.service
# A fault test that fails logins must not lock the test network out. Only Debian 13 knows the option.
RUN mkdir -p /run/sshd && ssh-keygen -q -t ed25519 -N '' -f /tmp/key \
 && if /usr/sbin/sshd -t -h /tmp/key -o PerSourcePenalties=no; then \
      echo 'PerSourcePenalties no' > /etc/ssh/sshd_config.d/testbed.conf; fi \
 && rm -f /tmp/key /tmp/key.pub
STOPSIGNAL SIGRTMIN+3
CMD ["/sbin/init"]
