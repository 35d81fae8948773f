import importlib
import json
import sys

from contestants import TASKS
from contestants.cases import CASES

task, name, case, path, *options = sys.argv[1:]
contestant = TASKS[task][name]
options_by_name = {key: int(value) for key, value in (option.split("=") for option in options)}
case = CASES[case]._replace(images=options_by_name.pop("images", 0) or CASES[case].images)
work = getattr(importlib.import_module("contestants." + contestant.module), task)
print(json.dumps(work(case, path, **options_by_name, **contestant.options)))
