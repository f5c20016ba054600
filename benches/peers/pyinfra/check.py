# Runs on the host: what ansible-core asks with its module `uri`.
import json
import sys
import time
import urllib.error
import urllib.request

address, is_first = sys.argv[1], sys.argv[2] == "1"
connector = json.loads("""CONNECTOR""")
rest = f"http://{address}:8083"


def ask(url, method="GET", body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": "application/json"})
    return urllib.request.urlopen(request, timeout=10).read()


def patiently(question):
    for _ in range(300):
        try:
            answer = question()
            if answer:
                return answer
        except (OSError, ValueError, KeyError):
            pass
        time.sleep(0.2)
    sys.exit("gave up")


def runs():
    status = json.loads(ask(f"{rest}/connectors/{connector['name']}/status"))
    return status["tasks"] and {one["state"] for one in [status["connector"], *status["tasks"]]} == {"RUNNING"}


patiently(lambda: json.loads(ask(f"{rest}/"))["kafka_cluster_id"])
plugins = json.loads(ask(f"{rest}/connector-plugins"))
assert connector["connector.class"] in {plugin["class"] for plugin in plugins}
assert b"kafka_connect_connect_worker_metrics_task_count" in ask(f"http://{address}:8079/metrics")
if is_first:
    path = f"{rest}/connectors/{connector['name']}/config"
    try:
        found = json.loads(ask(path))
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        found = None
    if found != connector:
        ask(path, "PUT", connector)
    patiently(runs)
