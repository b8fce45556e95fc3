"""A device played by aiocoap: registers, is read, written and observed by MQTT commands, updates and goes."""

import json

from common import MosquittoSub, case, check, equal, main, mosquitto_pub, start_device


class Asker:
    """Sends commands with mosquitto_pub and reads answers with mosquitto_sub."""

    def __init__(self, bench, ep, ask="command", answer="response"):
        self.bench, self.topic, self.answers = bench, f"lwm2m/{ep}/{ask}", f"lwm2m/{ep}/{answer}"
        self.sub = MosquittoSub(bench, "-t", self.answers)

    def send(self, **command):
        mosquitto_pub(self.bench, "-t", self.topic, "-q", "1", "-m", json.dumps(command))

    def answer(self):
        topic, _, payload = self.sub.line().partition(" ")
        equal(topic, self.answers, "topic of the answer")
        return json.loads(payload)

    def ask(self, **command):
        self.send(**command)
        return self.answer()


@case
def read_by_mosquitto_pub_is_seen_by_a_subscriber_of_everything(bench):
    device, ep = start_device(bench, "first")
    sub = MosquittoSub(bench, "-t", "#")
    command = '{"CmdID":1,"Command":"Read","BaseName":"/3/0/0"}'
    mosquitto_pub(bench, "-t", f"lwm2m/{ep}/command", "-m", command)
    device.line(r"^GET /3/0/0 ")
    topic, _, payload = sub.line(f"^lwm2m/{ep}/response ").partition(" ")
    wanted = {"CmdID": 1, "Command": "Read", "Result": {"bn": "/3/0/0", "e": [{"sv": "ACME"}]}}
    equal(json.loads(payload), wanted)


@case
def device_may_answer_in_tlv(bench):
    _, ep = start_device(bench, "tlv", "--tlv")
    answer = Asker(bench, ep).ask(CmdID=2, Command="Read", BaseName="/3/0/0")
    value = answer.get("Result", {}).get("e")
    check(value in ([{"sv": "ACME"}], [{"sv": "QUNNRQ=="}]), f"answer is {answer}")  # base64 without a catalog


@case
def missing_resource_is_an_error_answer(bench):
    _, ep = start_device(bench, "missing")
    answer = Asker(bench, ep).ask(CmdID=3, Command="Read", BaseName="/3/0/99")
    equal((answer["CmdID"], answer["Command"], answer["Error"]), (3, "Read", "Not Found"))


@case
def generation_b_is_answered_on_its_own_topics(bench):
    _, ep = start_device(bench, "emqx")
    answer = Asker(bench, ep, "dn", "up/resp").ask(reqID=9, msgType="read", data={"path": "/3/0/0"})
    equal((answer["reqID"], answer["msgType"]), (9, "read"))
    equal((answer["data"]["reqPath"], answer["data"]["code"]), ("/3/0/0", "2.05"))
    equal(answer["data"]["content"], [{"path": "/3/0/0", "value": "ACME"}])


@case
def commands_keep_their_order_and_their_ids(bench):
    _, ep = start_device(bench, "order")
    asker = Asker(bench, ep)
    paths = ["/3/0/0", "/3/0/1", "/3/0/2", "/3/0/14"] * 3
    for number, path in enumerate(paths):
        asker.send(CmdID=number, Command="Read", BaseName=path)
    got = [asker.answer() for _ in paths]
    equal([(g["CmdID"], g["Result"]["bn"]) for g in got], list(enumerate(paths)))


@case
def answers_and_states_cannot_be_forged_by_clients(bench):
    """hostile L29: the publish is acknowledged and goes nowhere"""
    sub = MosquittoSub(bench, "-t", "lwm2m/forged/#", "-t", bench.topic("marker"))
    for leaf in ("response", "up/resp", "up/notify", "event", "status"):
        mosquitto_pub(bench, "-t", f"lwm2m/forged/{leaf}", "-q", "1", "-m", "forged")
    mosquitto_pub(bench, "-t", bench.topic("marker"), "-q", "1", "-m", "seen")
    equal(sub.line(), f"{bench.topic('marker')} seen")


@case
def broken_command_is_answered_with_a_reason(bench):
    _, ep = start_device(bench, "broken")
    asker = Asker(bench, ep)
    mosquitto_pub(bench, "-t", asker.topic, "-q", "1", "-m", "{oops")
    answer = asker.answer()
    equal(answer["Error"], "Bad Request")
    check(answer.get("Reason"), "no reason given")


@case
def update_keeps_the_registration(bench):
    device, ep = start_device(bench, "update")
    device.tell("update lt=120")
    check("2.04" in device.line(r"^updated"), "Update was refused")
    device.tell("update")
    check("2.04" in device.line(r"^updated"), "Update without parameters was refused")
    equal(Asker(bench, ep).ask(CmdID=1, Command="Read", BaseName="/3/0/1")["Result"]["e"], [{"sv": "sensor"}])


@case
def deregistered_device_is_not_asked_any_more(bench):
    device, ep = start_device(bench, "gone")
    asker = Asker(bench, ep)
    equal(asker.ask(CmdID=1, Command="Read", BaseName="/3/0/0")["Result"]["e"], [{"sv": "ACME"}])
    device.tell("deregister")
    check("2.02" in device.line(r"^deregistered"), "De-register was refused")
    answer = asker.ask(CmdID=2, Command="Read", BaseName="/3/0/0")
    equal((answer["CmdID"], answer["Error"]), (2, "Not Registered"))
    device.tell("update")
    check("4.04" in device.line(r"^updated"), "Update of a registration that is gone")


@case
def registering_again_replaces_the_registration(bench):
    first, ep = start_device(bench, "again")
    second, _ = start_device(bench, "again")
    equal(Asker(bench, ep).ask(CmdID=1, Command="Read", BaseName="/3/0/0")["Result"]["e"], [{"sv": "ACME"}])
    second.line(r"^GET /3/0/0")
    first.tell("update")
    check("4.04" in first.line(r"^updated"), "Update of the replaced registration")


if __name__ == "__main__":
    main(__doc__)
