import os
import signal
import sys
import time
from pathlib import Path

import pytest

from small_data import write_small_data
from stand_ins import jobs_with_scores, stand_in_scripts
from test_workers import wait_for
from theanoish.errors import InputError
from theanoish.experiments import workers
from theanoish.experiments.cluster import Cluster, connect
from theanoish.experiments.workers import Event, run_cells
from theanoish.interrupt import StopRequest

