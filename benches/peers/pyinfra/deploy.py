# The ten steps of a worker's host, as pyinfra's operations. What the files hold is given: `tree/HOST/` has them as
# `provision` renders them, so that the end is the same to the byte.
import json
import os

from pyinfra import config, host
from pyinfra.facts.server import Command
from pyinfra.operations import apt, files, server, systemd

config.SUDO = True
about = json.load(open(os.environ["ABOUT"]))
name, address = host.data.name, host.name

# 1 preflight
brokers = " && ".join(
    f"timeout 5 bash -c '</dev/tcp/{broker['host']}/{broker['port']}'" for broker in about["brokers"]
)
server.shell(name="1 preflight", commands=[f"test -d /run/systemd/system && {brokers}"])

# 2, 3 Docker
apt.packages(name="2 Docker is installed", packages=["docker.io", "docker-compose"])
systemd.service(name="3 Docker is enabled and runs", service="docker", running=True, enabled=True)

# 4 to 6 folders, files, Compose file
for folder in about["folders"]:
    files.directory(
        name=f"4 {folder['path']}",
        path=folder["path"],
        mode=folder["mode"],
        user=str(folder["owner"]),
        group=str(folder["group_name"]),
    )
for file in about["files"]:
    files.put(
        name=f"5 {file['path']}",
        src=f"{about['tree']}/{name}{file['path']}",
        dest=file["path"],
        mode=file["mode"],
        user=str(file["owner"]),
        group=str(file["group_name"]),
    )

# 7 image
label = '{{index .Config.Labels "provision.image-digest"}}'
found = host.get_fact(Command, f"docker image inspect --format '{label}' {about['image']} 2>/dev/null || true")
if found != about["image_digest"]:
    files.put(name="7 archive of the image", src=about["archive"], dest="/var/tmp/worker-image.tar", mode="600")
    server.shell(
        name="7 image is loaded",
        commands=["docker load --quiet < /var/tmp/worker-image.tar && rm -f /var/tmp/worker-image.tar"],
    )

# 8 services in the way
for unit in about["conflicts"]:
    if host.get_fact(Command, f"systemctl is-enabled {unit} 2>/dev/null || true") not in (None, "", "not-found"):
        systemd.service(name=f"8 {unit} is stopped", service=unit, running=False, enabled=False)

# 9 worker
state = '{{.State.Status}} {{index .Config.Labels "provision.digest"}}'
found = host.get_fact(Command, f"docker inspect --format '{state}' {about['container']} 2>/dev/null || true")
if found != f"running {about['digests'][name]}":
    server.shell(
        name="9 worker runs",
        commands=[f"docker compose -p {about['project']} -f {about['compose_file']} up -d"],
    )

# 10 REST, metrics, connector
is_first = name == about["workers"][0]["name"]
server.shell(
    name="10 checks",
    commands=[f"python3 - {address} {int(is_first)} <<'END'\n{open(about['check']).read()}\nEND"],
)
