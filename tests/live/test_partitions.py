"""The example month while brokers, node, database and filing service are cut off and healed at random, through relays: nobody is killed.

One `esep run` does all of it: it follows the recorded node, reads the ledger from the pool's own tables in PostgreSQL, keeps its log on three brokers of Apache Kafka
(they reach each other through the relays, too), fills the store, freezes the month and files it to the sandbox, whose first answer is lost on its way. A file of the registry comes last
from another terminal. What comes out must be the month of the embedded run, to the last byte of the report: nothing that was acknowledged is lost, nothing is there twice, the form is filed
once. Prints how often each was cut, and how long it took until all was well again after each healing.

`ESEP_PARTITIONS_S=600` goes on for as long as that, with new cuts; `ESEP_SEED` chooses others.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
import random
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from connectors.log_kafka import KafkaSettings
from pipeline.capture.held import Held
from pipeline.log.events import decode
from pipeline.log.events.months import Accepted, Submitting
from pipeline.model.months import Month

from ..integration.example_month import DIGEST, RECORDED, ROOT
from ..ports import free_port
from .databases import PASSWORD, PostgresServer, find_postgres
from .kafka_cluster import KafkaCluster, why_not
from .relay import Cut, Relay
from .test_kafka_month import Supervisor, check_the_log, last_hash, node, read_all, registry_folder, shown_tip, write_config
from .test_sources import OWN_SELECTS, OWN_TABLES

__all__ = ["node"]
pytestmark = [pytest.mark.live, pytest.mark.timeout(1500)]
SEED = int(os.environ.get("ESEP_SEED", "20261129"))
LASTS_S = float(os.environ.get("ESEP_PARTITIONS_S", "0"))
LEAST_ROUNDS = 6
PATIENCE_S = 300
"""How long a healing, or a step of the month, is waited for."""
