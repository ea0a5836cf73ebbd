"""Broken configurations, and exactly what is printed for each."""

from __future__ import annotations

from collections.abc import Callable

import pytest

BROKEN = {
    "unknown keys": (
        (
            "uplaod:\n  interval: 5s\ndevice: {labels: {}, nmae: x}\nsensors:\n"
            "  - {name: a, type: chip, adress: 0x76}\n"
        ),
        [
            "agent.yaml:1:1: uplaod: is unknown (did you mean 'upload'?)",
            "agent.yaml:3:22: device.nmae: is unknown",
            "agent.yaml:5:27: sensors.a.adress: is unknown (did you mean 'address'?)",
        ],
    ),
    "an unknown key without a value": (
        "upload:\n  tls:\n    ca_flie:\n",
        ["agent.yaml:3:5: upload.tls.ca_flie: is unknown (did you mean 'ca_file'?)"],
    ),
    "wrong shapes": (
        "device: x\nqueue: [1]\nsensors: {name: a}\n",
        [
            "agent.yaml:1:9: device: is no mapping of keys to values",
            "agent.yaml:2:8: queue: is no mapping of keys to values",
            "agent.yaml:3:10: sensors: is no list; begin each item with '- '",
        ],
    ),
    "missing units": (
        "upload: {interval: 60, max_body: 1}\nqueue: {ttl: 30}\n",
        [
            "agent.yaml:1:20: upload.interval: 60 has no unit; did you mean '60s'?",
            "agent.yaml:1:34: upload.max_body: 1 has no unit; did you mean '1MiB'?",
            "agent.yaml:2:14: queue.ttl: 30 has no unit; did you mean '30s'?",
        ],
    ),
    "out of range": (
        "upload:\n  batch_size: 0\nqueue:\n  commit_interval: 2min\n  ttl: {logs: 0s}\n",
        [
            "agent.yaml:2:15: upload.batch_size: 0 is less than 1, the least allowed",
            "agent.yaml:4:20: queue.commit_interval: '2min' is more than 1min, the most allowed",
            "agent.yaml:5:15: queue.ttl.logs: '0s' is less than 1s, the least allowed",
        ],
    ),
    "wrong words and switches": (
        "log: {level: verbose}\nupload:\n  allow_insecure_http: yes\n  compression: 5\n",
        [
            (
                "agent.yaml:1:14: log.level: 'verbose' is not one of "
                "debug, info, notice, warning, error"
            ),
            "agent.yaml:3:24: upload.allow_insecure_http: 'yes' is neither true nor false",
            "agent.yaml:4:16: upload.compression: 5 is not one of gzip, none",
        ],
    ),
    "an endpoint in the clear": (
        "upload:\n  endpoint: http://example.com/in\n  nonsense: 1\n",
        [
            (
                "agent.yaml:2:13: upload.endpoint: is http:// to another machine; use https://, "
                "or allow_insecure_http: true"
            ),
            "agent.yaml:3:3: upload.nonsense: is unknown",
        ],
    ),
    "an endpoint that is none": (
        "upload: {endpoint: api.example.com}\n",
        [
            (
                "agent.yaml:1:20: upload.endpoint: is no URL; "
                "write it like https://api.example.com/v1/ingest"
            )
        ],
    ),
    "upload settings that do not fit": (
        (
            "upload:\n  endpoint: https://me:secret@example.com/\n  api_key: k\n  "
            "api_key_file: /k\n"
            "  headers: {authorization: Basic x}\n  batch_size: 40\n  retry_delay: 30min\n"
            "  tls: {client_key_file: /key.pem}\n"
        ),
        [
            (
                "agent.yaml:2:13: upload.endpoint: has a user name in it; "
                "write the key in api_key_file instead"
            ),
            "agent.yaml:3:12: upload.api_key: is given together with api_key_file; keep one",
            (
                "agent.yaml:5:12: upload.headers: has an Authorization of its own, "
                "which needs auth: none"
            ),
            "agent.yaml:7:16: upload.retry_delay: is 30min, longer than max_retry_delay, 15min",
            "agent.yaml:8:26: upload.tls.client_key_file: needs client_cert_file beside it",
        ],
    ),
    "sensors without what they need": (
        (
            "sensors:\n  - {type: chip}\n  - {name: a}\n  - {name: b, type: probe}\n  - x\n  -\n"
            "  - name:\n    type: chip\n"
        ),
        [
            "agent.yaml:2:5: sensors[0].name: is missing, and has no default",
            "agent.yaml:3:5: sensors.a.type: is missing, and has no default",
            "agent.yaml:4:5: sensors.b.pin: is missing, and has no default",
            "agent.yaml:5:5: sensors[3]: is no mapping of keys to values",
            "agent.yaml:6:4: sensors[4]: is no mapping of keys to values",
            "agent.yaml:7:10: sensors[5].name: is empty, and has no default",
        ],
    ),
    "unknown and broken types": (
        "sensors:\n  - {name: a, type: chp, interval: 5}\n  - {name: b, type: broken}\n",
        [
            "agent.yaml:2:21: sensors.a.type: 'chp' is no type of sensor (did you mean 'chip'?)",
            "agent.yaml:2:36: sensors.a.interval: 5 has no unit; did you mean '5s'?",
            "agent.yaml:3:21: sensors.b.type: the sensor type 'broken' cannot be used; remove it",
        ],
    ),
    "a sensor whose faults would be those of another one's channel": (
        (
            "sensors:\n"
            "  - {name: b, type: chip}\n"
            "  - {name: b.humidity, type: chip, address: 0x77}\n"
        ),
        [
            (
                "agent.yaml:3:12: sensors.b.humidity.name: 'b.humidity' is already the "
                "public name of a channel or a sensor, at agent.yaml:2:12"
            ),
        ],
    ),
    "sensors in each other's way": (
        (
            "sensors:\n"
            "  - {name: a, type: chip}\n"
            "  - {name: a, type: chip, address: 0x77}\n"
            "  - {name: b, type: chip, bus: 1, address: 0x76}\n"
            "  - {name: b.humidity, type: probe, pin: 4}\n"
            "  - {name: agent.x, type: probe, pin: 5}\n"
        ),
        [
            "agent.yaml:3:12: sensors.a.name: 'a' is already a sensor's name, at agent.yaml:2:12",
            (
                "agent.yaml:4:44: sensors.b.address: 0x76 is already a sensor's address "
                "on this bus, "
                "at agent.yaml:2:5"
            ),
            (
                "agent.yaml:5:12: sensors.b.humidity.name: 'b.humidity' is already the "
                "public name of "
                "a channel or a sensor, at agent.yaml:4:12"
            ),
            (
                "agent.yaml:6:12: sensors.agent.x.name: 'agent.x' is not a name of at most 100 "
                "letters, digits, '.', '_' and '-', the first a letter or digit (agent. is how the "
                "agent's own names begin)"
            ),
        ],
    ),
    "channels that are not there": (
        (
            "sensors:\n"
            "  - {name: a, type: chip, channels: {temperatur: {valid: {min: 1}}}}\n"
            "  - {name: b, type: chip, address: 0x77, valid: {min: 1}}\n"
            "  - {name: c, type: probe, pin: 4, channels: {x: }}\n"
            "  - {name: d, type: probe, pin: 5, valid: {min: 9, max: 3}}\n"
        ),
        [
            (
                "agent.yaml:2:38: sensors.a.channels.temperatur: is unknown "
                "(did you mean 'temperature'?)"
            ),
            (
                "agent.yaml:3:49: sensors.b.valid: is for sensors of one channel; here it belongs "
                "under channels: temperature, humidity"
            ),
            "agent.yaml:4:46: sensors.c.channels: is for sensors of several channels; this has one",
            "agent.yaml:5:49: sensors.d.valid.min: is 9, which is not below max, 3",
        ],
    ),
    "filters": (
        (
            "sensors:\n"
            "  - name: a\n    type: probe\n    pin: 4\n    filters:\n"
            "      - {ofset: 1}\n"
            "      - {median: {window_size: 0, sent_every: 1}}\n"
            "      - {median: 5, offset: 1}\n"
            "      - median\n"
            "      - {median: }\n"
            "      -\n"
            "      - {clamp: {}}\n"
            "      - {clamp: {min_value: 3, max_value: 2}}\n"
            "      - {calibrate_linear: ['2.8 - 0', 5]}\n"
            "      - {calibrate_linear: ['2.8 -> 0']}\n"
            "      - {calibrate_linear: ['2.8 -> 0', '2.8 -> 1']}\n"
            "      - {delta: 2 percent}\n"
            "      - {throttle: 60}\n"
            "      - {offset: {offset: 3}}\n"
            "      - {median: {send_first_at: 3}}\n"
            "  - {name: b, type: probe, pin: 5, filters: {offset: 1}}\n"
        ),
        [
            "agent.yaml:6:10: sensors.a.filters[0].ofset: is unknown (did you mean 'offset'?)",
            (
                "agent.yaml:7:32: sensors.a.filters[1].median.window_size: 0 is less than 1, "
                "the least allowed"
            ),
            (
                "agent.yaml:7:35: sensors.a.filters[1].median.sent_every: is unknown "
                "(did you mean 'send_every'?)"
            ),
            (
                "agent.yaml:8:9: sensors.a.filters[2]: has 2 keys; a filter has one, as in "
                "{offset: -0.4}, and the next begins with '- '"
            ),
            "agent.yaml:9:9: sensors.a.filters[3]: is not a filter; write it like {offset: -0.4}",
            "agent.yaml:10:18: sensors.a.filters[4].median: is empty; say what it is to do",
            "agent.yaml:11:8: sensors.a.filters[5]: is not a filter; write it like {offset: -0.4}",
            (
                "agent.yaml:12:17: sensors.a.filters[6].clamp.min_value: is missing, and so is "
                "max_value; clamp needs a limit"
            ),
            (
                "agent.yaml:13:29: sensors.a.filters[7].clamp.min_value: is 3, which is above "
                "max_value, 2"
            ),
            (
                "agent.yaml:14:29: sensors.a.filters[8].calibrate_linear[0]: '2.8 - 0' is not "
                "a point like '2.8 -> 0', what is measured first"
            ),
            (
                "agent.yaml:14:40: sensors.a.filters[8].calibrate_linear[1]: is not "
                "a point like '2.8 -> 0', what is measured first"
            ),
            (
                "agent.yaml:15:28: sensors.a.filters[9].calibrate_linear: has 1 items; "
                "2 are needed at least"
            ),
            (
                "agent.yaml:16:28: sensors.a.filters[10].calibrate_linear: says twice what 2.8 "
                "means; keep one"
            ),
            (
                "agent.yaml:17:17: sensors.a.filters[11].delta: '2 percent' is not a number "
                "like 0.5, or percent like '2%'"
            ),
            (
                "agent.yaml:18:20: sensors.a.filters[12].throttle: 60 has no unit; "
                "did you mean '60s'?"
            ),
            "agent.yaml:19:18: sensors.a.filters[13].offset: {'offset': 3} is no number",
            (
                "agent.yaml:20:34: sensors.a.filters[14].median.send_first_at: is 3, "
                "which is above send_every, 1"
            ),
            "agent.yaml:21:45: sensors.b.filters: is no list; begin each item with '- '",
        ],
    ),
    "reports, alarms and anomalies": (
        (
            "sensors:\n"
            "  - name: a\n    type: probe\n    pin: 4\n"
            "    report: {deadband: 0.2, every: 1min, stats: [mean, men]}\n"
            "    alarm: [{above: 8, below: 3}, {hysteresis: -3}, {above: 3, for: 5}]\n"
            "    anomaly: {windw: 3}\n"
            "  - name: b\n    type: probe\n    pin: 5\n"
            "    report: {heartbeat: 10min, stats: [min, min]}\n"
            "    alarm: {above: 3, priority: logs}\n"
            "  - {name: b.min, type: probe, pin: 6}\n"
            "  - {name: b.max, type: probe, pin: 7}\n"
            "  - {name: c, type: probe, pin: 8, report: {every: 1h}}\n"
            "  - {name: c.min, type: probe, pin: 9}\n"
            "  - {name: d, type: chip, alarm: {above: 3}, filters: [{median: 3}]}\n"
        ),
        [
            (
                "agent.yaml:5:24: sensors.a.report.deadband: is for single values, and every "
                "sends none; keep one"
            ),
            (
                "agent.yaml:5:56: sensors.a.report.stats[1]: 'men' is not one of "
                "mean, min, max, count, last"
            ),
            (
                "agent.yaml:6:21: sensors.a.alarm[0].above: is given together with below; "
                "make two alarms of them"
            ),
            (
                "agent.yaml:6:35: sensors.a.alarm[1].above: is missing, and so is below; "
                "an alarm needs one of them"
            ),
            (
                "agent.yaml:6:48: sensors.a.alarm[1].hysteresis: -3 is less than 0, "
                "the least allowed"
            ),
            "agent.yaml:6:69: sensors.a.alarm[2].for: 5 has no unit; did you mean '5s'?",
            "agent.yaml:7:15: sensors.a.anomaly.windw: is unknown (did you mean 'window'?)",
            "agent.yaml:11:25: sensors.b.report.heartbeat: needs deadband beside it",
            "agent.yaml:11:39: sensors.b.report.stats: names one of them twice",
            "agent.yaml:11:39: sensors.b.report.stats: needs every beside it",
            (
                "agent.yaml:12:33: sensors.b.alarm.priority: 'logs' is not one of "
                "critical, anomaly, telemetry"
            ),
            (
                "agent.yaml:16:12: sensors.c.min.name: 'c.min' is already the public name of "
                "a channel or a sensor, at agent.yaml:15:12"
            ),
            (
                "agent.yaml:17:34: sensors.d.alarm: is for sensors of one channel; here it "
                "belongs under channels: temperature, humidity"
            ),
            (
                "agent.yaml:17:55: sensors.d.filters: is for sensors of one channel; here it "
                "belongs under channels: temperature, humidity"
            ),
        ],
    ),
    "names the environment has not": (
        "device: {id: '${SITE}-${UNIT}'}\nupload: {api_key: '${KEY'}\n",
        [
            (
                "agent.yaml:1:14: device.id: the environment has no UNIT; set it in "
                "/etc/default/pyvorin-agent, or write $$ where a dollar is meant"
            ),
            (
                "agent.yaml:2:19: upload.api_key: '${KEY' has no closing brace; "
                "write $$ where a dollar is meant"
            ),
        ],
    ),
    "a key twice and more": (
        "log: {level: info, level: debug}\nhealth: {report_interval: soon}\n",
        [
            "agent.yaml:1:20: log.level: is given twice; the first is in line 1",
            (
                "agent.yaml:2:27: health.report_interval: 'soon' is not a duration; "
                "write it like '30s'"
            ),
        ],
    ),
}


@pytest.mark.parametrize(("text", "expected"), BROKEN.values(), ids=BROKEN)
def test_load_of_a_broken_file_lists_every_problem_in_order(
    problems: Callable[..., list[str]], text: str, expected: list[str]
):
    """All at once, each with its place, its key and what to do."""
    assert problems(text, {"SITE": "lyon"}) == expected
