#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""kunit.py of a kernel tree, but what it boots has this terminal and runs no test.

	shell.py TREE exec ...
"""
import os
import runpy
import subprocess
import sys
from typing import Any, List


def take_over(command: List[str], **_: Any) -> None:
	"""Instead of Popen(): becomes the emulator that kunit.py starts."""
	for old, new in (('kunit.enable=1', 'kunit.enable=0'), ('kunit_shutdown=halt', ''),
			 ('kunit_shutdown=reboot', ''), ('kunit_shutdown=poweroff', '')):
		command = [word.replace(old, new) for word in command]
	sys.stdout.flush()
	os.execvp(command[0], command)


os.chdir(sys.argv[1])
sys.dont_write_bytecode = True
sys.path.insert(0, 'tools/testing/kunit')
subprocess.Popen = take_over  # type: ignore
sys.argv = ['tools/testing/kunit/kunit.py'] + sys.argv[2:]
runpy.run_path(sys.argv[0], run_name='__main__')
