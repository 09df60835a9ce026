from __future__ import annotations

from benchmarks.detection.adaptive_tables import adaptive


def cell(monitor, epsilon, robust=False, **figures):
    known = {
        "fooled": 1.0,
        "fooled_alone": 0.9,
        "alone": 0.05,
        "evaded": 0.875,
        "seconds": 30,
        "false_alarms": 0.052,
        "right": 0.931,
    }
    one = {"data": "cifar10", "robust": robust, "monitor": monitor, "epsilon": epsilon, "attempts": 200}
    return one | known | figures


FIGURES = {
    "cells": [
        cell("default", "2/255", evaded=0.5),
        cell("default", "8/255"),
        cell("bitmap of channels", "8/255", attempts=50),
        cell("default, 10,000 profiled", "8/255"),
        cell("default, 10,000 profiled", "8/255", robust=True, fooled=0.4, evaded=0.3, attempts=100, right=0.8),
    ],
}


def test_monitors_stand_below_the_ceiling_and_networks_beside_each_other():
    monitors, networks, time = adaptive(FIGURES)
    assert monitors.header[3:] == [
        "2/255: knows the network",
        "2/255: knows both",
        "8/255: knows the network",
        "8/255: knows both",
    ]
    assert monitors.rows == [
        ["no monitor: fooled at all", "–", "200", "90", "100", "90", "100"],
        ["default", "5.2 %", "200", "5", "50", "5", "87.5"],
        ["bitmap of channels", "5.2 %", "50", "–", "–", "5", "87.5"],
    ]
    assert networks.header[4:] == ["8/255: fooled", "8/255: and silent"]
    assert networks.rows == [
        ["ordinary", "93.1 %", "5.2 %", "200", "100", "87.5"],
        ["adversarially trained", "80.0 %", "5.2 %", "100", "40", "30"],
    ]
    assert time == "Processor time of all attacks: 2 minutes."


def test_what_was_not_run_has_no_table():
    assert adaptive({"cells": []}) == ["Processor time of all attacks: 0 minutes."]
