"""A small corpus of several repositories, cut from the standard library, and one finished smoke run over it."""
import os, shutil, subprocess, sys, sysconfig
from pathlib import Path
import pytest

collect_ignore = ['golden']          # repositories to build graphs of, with tests of their own
GRAPHMER = Path(sys.executable).parent/'graphmer'
PACKAGES = ('concurrent', 'html', 'json', 'tomllib', 'urllib', 'wsgiref', 'xmlrpc', 'zoneinfo')

def graphmer(*args, home, check=True, **kw):
    "Run the command with its runs and downloads under `home`."
    env = os.environ|{'GRAPHMER_HOME':str(home), 'GRAPHMER_QUIET':'1'}|kw.pop('env', {})
    done = subprocess.run([GRAPHMER, *map(str, args)], capture_output=True, text=True, env=env, **kw)
    if check: assert done.returncode==0, done.stdout+done.stderr
    return done

def only_run(home)->Path:
    runs = [p.parent for p in (home/'runs').glob('*/params.json')]
    assert len(runs)==1, runs
    return runs[0]

@pytest.fixture(scope='session')
def corpus(tmp_path_factory)->Path:
    "Eight repositories with metadata of their own."
    folder, library = tmp_path_factory.mktemp('corpus')/'repositories', Path(sysconfig.get_paths()['stdlib'])
    for name in PACKAGES:
        shutil.copytree(library/name, folder/name/name, ignore=shutil.ignore_patterns('__pycache__'))
        (folder/name/'pyproject.toml').write_text(f'[project]\nname = "{name}"\nversion = "1.0"\nlicense = "PSF-2.0"\n')
    return folder

@pytest.fixture(scope='session')
def smoke(corpus, tmp_path_factory)->Path:
    "The home of one finished smoke run; tests that change it work on a copy."
    home = tmp_path_factory.mktemp('home')
    graphmer('run', corpus, '--profile', 'smoke', home=home)
    return home
