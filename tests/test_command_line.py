"""Doors and bad input: every error names the thing and the remedy, and nothing is lost."""
import json, os, random, shutil, signal, subprocess, sys, time
import pytest
from conftest import GRAPHMER, graphmer, only_run
from graphmer_se.cli import main
from graphmer_se.core import read_json, read_table
from graphmer_se.kg.build import alone
from graphmer_se.kg.store import data_hash, load

def test_misuse_lists_what_is_valid(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv('GRAPHMER_HOME', str(tmp_path/'home'))
    for args, words in ((['run', '/nowhere'], ['no such folder', '/nowhere']), (['run', tmp_path], ['no source files', str(tmp_path)]),
                        (['run', tmp_path, '--profile', 'gpuu'], ["unknown profile 'gpuu'", 'smoke', 'cpu']),
                        (['run', tmp_path, '--set', 'stepz=1'], ["unknown key 'stepz'", 'steps']), (['run', tmp_path, '--set', 'size=huge'], ["'huge'", 'small']),
                        (['train', tmp_path, '--profile', 'tpu'], ['device tpu', 'torch_xla']), (['doctor', '--tpu'], ['torch_xla is not installed']),
                        (['trian'], ['commands:', 'verify']), (['corpus', 'fetch', 'nosuch'], ['unknown corpus', 'starter']),
                        (['verify', 'nosuch'], ["no run 'nosuch'", 'runs list']), (['kg', 'stats', tmp_path], ['manifest.json'])):
        assert main([*map(str, args)])==2, args
        said = capsys.readouterr().err
        assert all(w in said for w in words), (args, said)
    done = graphmer('run', '/nowhere', home=tmp_path/'home', check=False)       # and as a user calls it
    assert done.returncode==2 and 'Traceback' not in done.stderr

def test_help_everywhere(capsys):
    for args in ([], ['run'], ['corpus'], ['corpus', 'list'], ['corpus', 'fetch'], ['kg'], ['kg', 'build'], ['kg', 'check'], ['kg', 'stats'], ['kg', 'query'], ['verify'], ['report'], ['runs'], ['runs', 'list'], ['train'], ['doctor']):
        assert main([*args, '--help'])==0 and 'Usage' in capsys.readouterr().out

def test_doctor_and_lists_speak_json(tmp_path):
    found = json.loads(graphmer('doctor', '--json', home=tmp_path).stdout)
    assert found['profile'] in found['profiles'] and all(why.startswith(('fits: ', 'does not fit: ')) for why in found['profiles'].values())
    assert len(json.loads(graphmer('corpus', 'list', '--json', home=tmp_path).stdout)['starter'])>=10
    assert json.loads(graphmer('runs', 'list', '--json', home=tmp_path).stdout)==[]

def test_bad_files_are_left_out_with_a_reason(tmp_path):
    folder = tmp_path/'odd'; folder.mkdir()
    (folder/'good.py').write_text('import os\ndef f(): return g()\ndef g(): return os.getcwd()\n')
    (folder/'binary.py').write_bytes(bytes(range(256))); (folder/'big.py').write_bytes(b'x = 1\n'*9_000_000)
    (folder/'latin.py').write_bytes('name = "é"\ndef h(): return f()\n'.encode('latin-1'))
    (folder/'broken.py').write_text('def before(): pass\nclass (:\n  x = [\ndef after(): before()\n')
    (folder/'empty.py').write_text(''); (folder/'loop').symlink_to(folder); (folder/'gone.py').symlink_to(folder/'nowhere.py')
    locked = folder/'locked.py'; locked.write_text('x = 1'); locked.chmod(0)
    graphmer('kg', 'build', folder, '-o', tmp_path/'kg', '--json', home=tmp_path)
    skipped = {s['file']:s['reason'] for s in json.loads((tmp_path/'kg'/'manifest.json').read_text())['skipped']}
    assert 'NUL' in skipped['binary.py'] and '54,000,000 bytes' in skipped['big.py'] and 'link' in skipped['loop'] and 'gone.py' in skipped
    if os.geteuid(): assert 'cannot be read' in skipped['locked.py']
    names = set(r['name'] for r in json.loads(graphmer('kg', 'query', tmp_path/'kg', "SELECT name FROM entities WHERE type='Function'", '--json', home=tmp_path).stdout))
    assert names=={'f', 'g', 'h', 'before', 'after'}
    checked = graphmer('kg', 'check', tmp_path/'kg', home=tmp_path, check=False)
    assert checked.returncode==1 and 'FAILED coverage' in checked.stdout and '\n         broken.py:2: does not parse here' in checked.stdout

def test_offline_with_nothing_cached_falls_back_to_the_standard_library(tmp_path):
    code = "from graphmer_se.cli import find_source; s, r = find_source(None); print(s, len(r))"
    env = os.environ|{'GRAPHMER_HOME':str(tmp_path), 'PIP_NO_INDEX':'1', 'PIP_FIND_LINKS':str(tmp_path), 'PIP_EXTRA_INDEX_URL':''}
    done = subprocess.run([sys.executable, '-c', code], env=env, capture_output=True, text=True)
    assert done.stdout.startswith('standard-library') and 'offline' in done.stderr, done

@pytest.mark.parametrize('files', [{'one.py':'def f(x):\n    return [g(y) for y in x]\ndef g(y):\n    return y + 1\n'},
                                   {f'm{i}.py':f'from m{(i+1)%4} import f{(i+1)%4}\ndef f{i}(value):\n    "Do {i}."\n    return f{(i+1)%4}(value) + {i}\n' for i in range(4)}], ids=['one file', 'four files'])
def test_any_folder_runs_to_the_end(files, tmp_path):
    "Even a folder with a single file gives a graph, a model and a report, which says what could not be measured."
    folder = tmp_path/'mine'; folder.mkdir()
    for name, text in files.items(): (folder/name).write_text(text*3)
    graphmer('run', folder, '--profile', 'smoke', '--set', 'steps=6', '--set', 'vocabulary=300', home=tmp_path/'home')
    run = only_run(tmp_path/'home')
    page = (run/'report.html').read_text()
    if len(files)==1: assert 'Nothing was held out' in page
    else: assert 'split by file' in page

def test_a_build_that_was_killed_is_finished_by_the_next(corpus, tmp_path):
    "kill -9 at any moment leaves no half graph that reads as a whole one, and the next build forgets no change."
    env = os.environ|{'GRAPHMER_HOME':str(tmp_path), 'GRAPHMER_QUIET':'1'}
    rng, folder = random.Random(5), shutil.copytree(corpus, tmp_path/'corpus')
    changing, whole = sorted(folder.rglob('*.py'))[::7], set()
    def built(name):
        graphmer('kg', 'build', folder, '-o', tmp_path/name, home=tmp_path)
        whole.add(data_hash(tmp_path/name))
        return tmp_path/name
    built('first')
    for i in range(6):
        running = subprocess.Popen([GRAPHMER, 'kg', 'build', folder, '-o', tmp_path/'kg'], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(.6, 2.5)); running.send_signal(signal.SIGKILL); running.wait()
        if (tmp_path/'kg'/'manifest.json').exists(): assert data_hash(tmp_path/'kg') in whole
        changed = changing[i%len(changing)]
        changed.write_bytes(changed.read_bytes()+b'\ndef added_%d(): return len(str(%d))\n' % (i, i))
        built(f'after{i}')
    graphmer('kg', 'build', folder, '-o', tmp_path/'kg', home=tmp_path)
    assert load(tmp_path/'kg').tables==load(tmp_path/'after5').tables

def test_two_builds_do_not_write_one_folder(corpus, tmp_path):
    with alone(tmp_path/'kg'): done = graphmer('kg', 'build', corpus, '-o', tmp_path/'kg', home=tmp_path, check=False)
    assert done.returncode==2 and 'another build is writing' in done.stderr

def test_an_ablation_compares_arms_seed_by_seed(corpus, tmp_path):
    "Two seeds, one arm that changes the training, one that changes nothing and one that learns nothing but words; graph and tokens are made once per seed."
    spec = tmp_path/'toy.toml'
    spec.write_text(f'profile = "smoke"\nsource = "{corpus}"\nseeds = [1, 2]\nmeasures = ["words", "leaves"]\n[settings]\ntasks = "words leaves"\nsteps = 6\nvalidate_every = 6\n[arms.slow]\nlr = 1e-6\n[arms.same]\nthreads = 1\n[arms.bare]\nleaves_share = 0.0\nsymbol_weight = 0.0\npairs_weight = 0.0\n')
    done = graphmer('ablate', spec, '--json', home=tmp_path/'home')
    found = json.loads(done.stdout)
    by = {c['arm']:c for c in found['comparisons'] if c['measure']=='words'}
    leaves = {c['arm']:c for c in found['comparisons'] if c['measure']=='leaves'}
    assert leaves['same']['difference']==0 and leaves['slow']['questions']>100
    assert by['same']['difference']==0 and by['same']['verdict']=='undecided' and by['slow']['seeds']==2 and by['slow']['questions']>300
    assert leaves['bare']['seeds']==2
    assert len({*found['runs'].values()})==6 and done.stderr.count('[2/6] encode')==2
    judged = json.loads(graphmer('verify', found['runs']['slow 1'], '--gates', 'monitoring', '--json', home=tmp_path/'home', check=False).stdout)
    gate = next(g for g in judged['gates'] if g['metric']=='arm/leaves_gain_low')
    assert gate['value']==leaves['slow']['low'] and not gate['passed']                    # an arm that does not learn gains nothing
    again = graphmer('ablate', spec, '--json', home=tmp_path/'home')
    assert again.stdout==done.stdout and 'slow, seed' not in again.stderr

def test_a_kept_ablation_is_checked_and_goes_on_elsewhere(tmp_path, monkeypatch):
    "Cells that the repository keeps are found without a run; comparisons follow from them, and a changed score is seen."
    import numpy as np, pyarrow as pa
    from graphmer_se.studies import ablations
    monkeypatch.setattr(ablations, 'root', lambda: tmp_path/'checkout')
    monkeypatch.setattr(ablations, 'home', lambda: tmp_path/'home')
    toy, rng = ablations.Ablation('toy', 'smoke', 'starter', (1, 2), dict(better=dict(lr=1.)), measures=('edges/fusion',)), np.random.default_rng(0)
    for arm in ('base', 'better'):
        for seed in (1, 2):
            cell = ablations.cells_folder(toy)/f'{arm}-{seed}-0'
            ablations.write_table(pa.table(dict(measure=['edges/fusion']*90, repository=[*'abc']*30, score=rng.uniform(.2, .4, 90)+.2*(arm=='better'))), cell/'scores.parquet')
            ablations.write_json(dict(arm=arm, seed=seed, params=dict(seed=seed, code=dict(train='x')), run=f'{arm}-{seed}', finished=f'2026-0{seed}', git=dict(dirty=False), questions={'edges/fusion': 'q'}), cell/'cell.json')
    kept = ablations.keep_ablation(toy, ablations.known_cells(toy))
    assert ablations.verify_ablation(kept)==[] and ablations.keep_ablation(toy, ablations.known_cells(toy))==kept
    monkeypatch.setattr(ablations, 'home', lambda: tmp_path/'elsewhere')
    wanted = [ablations.Wanted(arm, seed, tmp_path/'none', dict(seed=seed, code=dict(train='y'))) for seed in (1, 2) for arm in ('base', 'better')]
    there = ablations.standing(wanted, ablations.known_cells(toy))
    assert len(there)==4 and ablations.compare(toy, there).verdict.tolist()==['better']
    assert ablations.standing([w._replace(params=w.params|dict(lr=2.)) for w in wanted], ablations.known_cells(toy))==[]
    table = ablations.read_table(kept/'base-1-0'/'scores.parquet').to_pandas()
    ablations.write_table(pa.Table.from_pandas(table.assign(score=table.score+.1), preserve_index=False), kept/'base-1-0'/'scores.parquet')
    assert any('scores.parquet' in w for w in ablations.verify_ablation(kept)) and any('comparisons' in w for w in ablations.verify_ablation(kept))
    first = next((tmp_path/'home'/'ablations'/'toy').glob('*/cell.json'))
    ablations.write_json(ablations.read_json(first)|dict(git=dict(dirty=True)), first)
    monkeypatch.setattr(ablations, 'home', lambda: tmp_path/'home')
    with pytest.raises(ablations.GraphmerError, match='checkout with changes'): ablations.keep_ablation(toy, ablations.read_cells(ablations.cells_folder(toy)))

def test_search_finds_by_what_code_does_and_keeps_what_it_read(smoke, corpus, tmp_path):
    run, home = only_run(smoke), tmp_path/'home'
    ask = lambda *words: json.loads(graphmer('search', run, corpus/'json', *words, '--json', home=home).stdout)
    first = ask('serialize obj as a JSON formatted stream', '-k', '3')
    assert len(first)==3 and first[0]['score']>=first[1]['score'] and all(f['file'].startswith('json/') for f in first)
    kept = list((home/'data'/'cache').glob('search-*'))
    assert len(kept)==1 and ask('serialize obj as a JSON formatted stream', '-k', '3')==first
    graphmer('embed', run, corpus/'json', '-o', tmp_path/'v.parquet', home=home)
    import pyarrow.parquet as pq
    table = pq.read_table(tmp_path/'v.parquet')
    assert table.num_rows>20 and abs(sum(x*x for x in table['vector'][0].as_py())-1)<1e-4
    assert list((home/'data'/'cache').glob('search-*'))==kept
    assert 'empty' in graphmer('search', run, corpus/'json', ' ', home=home, check=False).stderr

def test_predictions_are_marked_gated_and_never_proved(smoke, corpus, tmp_path):
    "Every proposal names two functions of the source that the graph holds apart, a probability and the call as written."
    run, home = only_run(smoke), tmp_path/'home'
    shown = json.loads(graphmer('predict', run, corpus/'xmlrpc', '-o', tmp_path/'p.parquet', '--least', '0', '--json', home=home).stdout)
    import pyarrow.parquet as pq
    every = pq.read_table(tmp_path/'p.parquet').to_pylist()
    assert every and len(shown)<=len(every) and {p['status'] for p in every}=={'predicted'} and {p['source'] for p in every}=={'ml_extraction'}
    graphmer('kg', 'build', corpus/'xmlrpc', '-o', tmp_path/'kg', home=home)
    kg = load(tmp_path/'kg')
    names, open_ = dict(zip(kg.entities.id, kg.entities['name'])), set(zip(kg.triples['head'], kg.triples['tail']))
    for p in every: assert 0<=p['confidence']<=1 and p['written'].rsplit('.', 1)[-1].lstrip('?')==names[p['tail']] and (p['head'], p['written']) in open_
    assert all(p['new'] and p['visible'] and p['range'] for p in shown) and [p['confidence'] for p in shown]==sorted((p['confidence'] for p in shown), reverse=True)
    assert set(kg.triples.status)<={'resolved', 'external', 'ambiguous', 'unresolved'}

def test_training_goes_on_from_a_graph_that_is_there(smoke, corpus, tmp_path):
    "The graph of the run is that of the source, whatever lay there: nothing is resolved again when nothing changed, and what changed is."
    graph, home = tmp_path/'graph', tmp_path/'home'
    graphmer('kg', 'build', corpus, '-o', graph, home=home)
    few = ('--profile', 'smoke', '--set', 'steps=6', '--name')
    graphmer('train', corpus, '--kg', graph, *few, 'one', home=home)
    said = lambda folder: read_json(folder/'manifest.json')['data_sha256']
    assert said(home/'runs'/'one'/'kg')==said(graph)==said(only_run(smoke)/'kg') and not (home/'runs'/'one'/'kg'/'.cache').exists()
    other = tmp_path/'other'
    shutil.copytree(corpus, other); (other/'html'/'html'/'more.py').write_text('def added(): return escape("x")\n')
    graphmer('train', other, '--kg', graph, *few, 'two', home=home)
    assert said(home/'runs'/'two'/'kg')!=said(graph) and 'html.more.added' in set(read_table(home/'runs'/'two'/'kg'/'entities'/'html.parquet')['qualified_name'].to_pylist())
    shutil.rmtree(graph/'.cache')
    assert 'no record of how it was built' in graphmer('train', corpus, '--kg', graph, *few, 'three', home=home, check=False).stderr
    assert 'holds no graph' in graphmer('train', corpus, '--kg', tmp_path, *few, 'three', home=home, check=False).stderr
