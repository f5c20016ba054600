import json
import os

_about = json.load(open(os.environ["ABOUT"]))

workers = [
    (
        worker["address"],
        {
            "name": worker["name"],
            "ssh_port": int(os.environ["SSH_PORT"]),
            "ssh_user": _about["user"],
            "ssh_key": _about["identity"],
            "ssh_known_hosts_file": _about["known_hosts"],
            "ssh_strict_host_key_checking": "yes",
        },
    )
    for worker in _about["workers"]
]
