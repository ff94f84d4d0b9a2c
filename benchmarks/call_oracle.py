"""Calls that really happened, against the calls of the graph.

    python benchmarks/call_oracle.py PROJECT... [--python VENV/bin/python] [--tests tests] [--rivals VENV/bin/python] [--predict RUN] [--json]

PROJECT is an unpacked source distribution with its tests. Its own test suite runs under `sys.setprofile`, which notes every pair (caller, callee) of Python
functions of the project; the graph of the same folder is built; pairs are compared.

- recall: observed pairs that the graph has, as `calls` with status resolved or ambiguous. Once over all callers, once over callers outside the tests.
- precision, a lower bound: of the graph's pairs whose line of evidence ran, the share that was observed. A line may run without reaching the call on it
  (`a and b()`), so the true value is higher. Ambiguous edges count with every candidate; resolved ones are also given apart.

An edge with the rule `py.calls.decorated` names what a decorator has put something else in front of; it is left out on both sides.
Calling a generator or coroutine function runs none of its code, so the interpreter reports no call there; it reports one wherever the object is resumed. A pair as written
whose callee is such a function is therefore left out of the precision unless it was observed.
With `--rivals PYTHON` PyCG (a module of that interpreter) and jedi are asked about the same packages and held against the same observations, ours beside them: pairs inside the packages, no lambdas, a class body's calls being its module's. `recall` of what was observed there,
and of the pairs that a tool claims of callers that ran, the share that was `seen`; a caller may run without reaching the call, so that is a bound, lower than the one by lines, and the same for all.
With `--predict RUN` the proposals of a trained run for calls that static analysis left open are held against what happened, by their probability.
A frame of a comprehension belongs to the function around it. Class bodies are no callees. The interpreter needs pytest and what the tests import.
"""
import argparse, json, os, shutil, subprocess, sys, tempfile
from collections import defaultdict
from pathlib import Path
import pandas as pd
from rivals import jedi_calls, pycg_calls, roots_of
from graphmer_se.evidence.measured import TOOLS, call_facts

os.environ.setdefault('GRAPHMER_QUIET','1')         # the figures, without a bar for each graph

PLUGIN = r'''
import atexit, json, os, sys, threading

ROOT = os.environ['ORACLE_ROOT'] + os.sep
OUT = os.environ['ORACLE_OUT']
pairs, lines, kept = set(), set(), {}
INNER = ('<listcomp>', '<genexpr>', '<dictcomp>', '<setcomp>')

def ours(code):
    known = kept.get(code)
    if known is None:
        name = code.co_filename
        known = kept[code] = name.startswith(ROOT) and not name.endswith('oracle_plugin.py')
    return known

def profile(frame, event, _):
    if event != 'call': return
    code = frame.f_code
    if not ours(code) or code.co_name in INNER: return
    caller = frame.f_back
    if caller is not None and ours(caller.f_code): pairs.add((caller.f_code, code))

def trace(frame, event, _):
    return local if ours(frame.f_code) else None

def local(frame, event, _):
    if event == 'line': lines.add((frame.f_code.co_filename, frame.f_lineno))
    return local

def save():
    sys.setprofile(None); sys.settrace(None)
    say = lambda c: (c.co_filename[len(ROOT):], c.co_firstlineno, c.co_qualname)
    lazy = sorted({say(c) for pair in pairs for c in pair if c.co_flags & (0x20 | 0x80 | 0x200)})     # generators, coroutines, asynchronous generators
    with open(OUT, 'w') as f: json.dump(dict(pairs=sorted((say(a), say(b)) for a, b in pairs), lines=sorted((n[len(ROOT):], l) for n, l in lines), lazy=lazy), f)

def watch():
    sys.setprofile(profile); sys.settrace(trace)

def pytest_runtest_setup(item): watch()              # whoever raises in here, as when the stack is full, is not asked again

threading.setprofile(profile); threading.settrace(trace)
watch()
atexit.register(save)
'''

def observe(project:Path, python:str, tests:str, more:list)->dict:
    "Run the tests of a project and return what happened."
    with tempfile.TemporaryDirectory() as d:
        (Path(d)/'oracle_plugin.py').write_text(PLUGIN)
        out = Path(d)/'out.json'
        source = [str(project/'src')] if (project/'src').exists() else []
        env = os.environ|{'PYTHONPATH':os.pathsep.join([d,*source,str(project)]),'ORACLE_ROOT':str(project),'ORACLE_OUT':str(out),'PYTHONDONTWRITEBYTECODE':'1'}
        done = subprocess.run([python,'-m','pytest','-q','--maxfail=1000','-p','oracle_plugin','-p','no:cacheprovider',tests,*more],cwd=project,env=env,capture_output=True,text=True,timeout=3000)
        if not out.exists(): sys.exit(f'{project}: the tests did not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}')
        print(f'{project.name}: {done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""}',file=sys.stderr)
        return json.loads(out.read_text())

class Places:
    "Where functions stand. Code that a decorator compiled anew begins at its `def`, not at its decorators, so the innermost one of its name around a line is meant."
    def __init__(self, code):
        self.spans = defaultdict(list)
        for r in code.itertuples(): self.spans[r.file,r.name].append((r.line_start,len(self.spans[r.file,r.name]),r.line_end,r.id))
    def get(self, place:tuple)->str|None:
        "The id of the function (file, line, name), or nothing; of several that begin together the last."
        file,line,name = place
        return max((x for x in self.spans.get((file,name),()) if x[0]<=line<=x[2]),default=(None,))[-1]

def happened(kg, project:Path, seen:dict)->tuple[set, int, dict]:
    "The observed (caller, callee) pairs as entities, how many callees the graph does not know, and where functions stand: (file, first line, name) -> id."
    e = kg.entities[kg.entities.repository==project.name]
    code = e[e.type.isin(['Function','Method','Test'])]
    at = Places(code)
    modules = {r.file:r.id for r in e[e.type=='Module'].itertuples()}
    bodies = defaultdict(list)
    for r in e[e.type.isin(['Function','Method','Test','Class','ExceptionType','Interface'])].itertuples(): bodies[r.file].append((r.line_start,r.line_end,r.id))
    def caller(file, line, name):
        plain = name.rsplit('.',1)[-1]
        if plain=='<module>': return modules.get(file)
        if plain in ('<listcomp>','<genexpr>','<dictcomp>','<setcomp>'):
            around = [b for b in bodies[file] if b[0]<=line<=b[1]]
            return max(around)[2] if around else modules.get(file)
        if found := at.get((file,line,plain)): return found
        return next((id for a,b,id in bodies[file] if a==line),None)      # a class body
    observed,unknown = set(),0
    for a,b in seen['pairs']:
        plain = b[2].rsplit('.',1)[-1]
        if plain=='<module>': continue
        callee = at.get((b[0],b[1],plain))
        if callee is None:
            unknown += not any(x[0]==b[1] for x in bodies[b[0]])           # the body of a class, or code made at run time
            continue
        who = caller(*a)
        if who: observed.add((who,callee))
    return observed,unknown,at

def claimed(t):
    "The calls among triples that say what is called, as written."
    return t[(t.relation=='calls')&t.status.isin(['resolved','ambiguous'])&(t.rule!='py.calls.decorated')]

ALONE = """
import json, sys, time
from pathlib import Path
from graphmer_se.kg.build import build
from graphmer_se.parsing.corpus import Repository
begun = time.process_time()
kg = build([Repository(sys.argv[1],'0','unknown',Path(sys.argv[2]))])
seconds,t = time.process_time()-begun,kg.triples[kg.triples.relation=='calls']
print(json.dumps(dict(seconds=seconds,calls=t[['head','relation','tail','status','rule']].to_dict('list'))))
"""

def from_packages(project:Path, packages:list[Path])->tuple[set, set, float]:
    "Our (caller, callee) when we see the packages alone, as the rivals do, those of them without other candidates, and CPU seconds; in a process of its own. Ids depend on qualified names, so they are those of the whole project."
    with tempfile.TemporaryDirectory() as d:
        for p in packages: shutil.copytree(p,Path(d)/p.name)
        found = json.loads(subprocess.run([sys.executable,'-c',ALONE,project.name,d],stdout=subprocess.PIPE,text=True,check=True).stdout)
    calls = claimed(pd.DataFrame(found['calls']))
    pairs = lambda t: set(zip(t['head'],t['tail']))
    return pairs(calls),pairs(calls[calls.status=='resolved']),found['seconds']

def rivalled(kg, project:Path, observed:set, lazy:set, python:str)->dict:
    "By tool: calls claimed inside the packages of a project, how many of the observed are among them, and how many of them were observed."
    packages = roots_of(project)
    if not packages: return {}
    base = packages[0].parent
    e = kg.entities[kg.entities.repository==project.name]
    e = e[[any((project/f).is_relative_to(p) for p in packages) for f in e.file]]
    inside,classes = e[e.name!='<lambda>'],e[e.type.isin(['Class','ExceptionType','Interface'])]
    module = {f:id for f,id in e[e.type=='Module'][['file','id']].itertuples(index=False)}
    module_of = {r.id:module[r.file] for r in classes.itertuples() if r.file in module}
    allowed = set(inside.id)
    def tidy(pairs): return {(module_of.get(a,a),b) for a,b in pairs if a in allowed and b in allowed}
    by_name = {r.qualified_name:r.id for r in inside[inside.type.isin(['Module','Function','Method'])].itertuples()}
    every,certain,spent = from_packages(project,packages)
    claims,seconds = {'ours':tidy(every),'ours, resolved':tidy(certain)},{'ours':spent,'ours, resolved':spent}
    if found := pycg_calls(packages,python):
        claims['PyCG'],seconds['PyCG'] = tidy((by_name.get(a),by_name.get(b)) for a,b in found[0]),found[1]
    if found := jedi_calls(packages):
        at = Places(inside)
        def entity(file, line, name):
            file = str((base/file).relative_to(project))
            return module.get(file) if name=='<module>' else at.get((file,line,name))
        bases,names = defaultdict(list),dict(zip(e.id,e.qualified_name))
        for r in kg.triples[kg.triples.relation=='inherits_from'].itertuples(): bases[r.head].append(r.tail)
        def constructors(id, depth=0):
            own = {by_name[n] for m in ('__init__','__new__') if (n := f'{names.get(id)}.{m}') in by_name}
            return own or {m for b in bases[id] if depth<10 for m in constructors(b,depth+1)}
        pairs = set()
        for caller,(file,line,name,kind) in found[0]:
            callee = entity(file,line,name)
            pairs |= {(entity(*caller),b) for b in (constructors(callee) if kind=='class' else {callee})}
        claims['jedi'],seconds['jedi'] = tidy(pairs),found[1]
    truth,ran = tidy(observed),{x for pair in observed for x in pair}
    ran |= {module_of[x] for x in ran if x in module_of}
    rows = {}
    for tool in TOOLS:
        if tool not in claims: rows[tool] = dict(failed=True); continue
        asked = [p for p in claims[tool] if p[0] in ran and not (p[1] in lazy and p not in truth)]
        rows[tool] = dict(observed=len(truth),found=len(truth&claims[tool]),claimed_that_ran=len(asked),seen=sum(p in truth for p in asked),cpu_seconds=round(seconds[tool],2))
    size = sum(f.stat().st_size for p in packages for f in p.rglob('*.py'))
    return {tool:row|dict(bytes=size) for tool,row in rows.items()}

def compare(project:Path, seen:dict, rivals:str='')->dict:
    "The graph of a project beside what was observed."
    from graphmer_se.kg.build import build
    from graphmer_se.parsing.corpus import Repository
    kg = build([Repository(project.name,'0','unknown',project)])
    observed,unknown,at = happened(kg,project,seen)
    e = kg.entities[kg.entities.repository==project.name].set_index('id')
    name_of,file_of = e.qualified_name.to_dict(),e.file.to_dict()
    calls = claimed(kg.triples.reset_index(drop=True))
    predicted = {(h,t):(s,r) for h,t,s,r in zip(calls['head'],calls['tail'],calls.status,calls.rule)}
    ran = {(f,l) for f,l in seen['lines']}
    evidence = kg.evidence()
    evidence = evidence[evidence.triple.isin(calls.index)]
    executed = set(evidence.triple[[(f,l) in ran for f,l in zip(evidence.file,evidence.line_start)]])
    lazy = {at.get((f,l,name.rsplit('.',1)[-1])) for f,l,name in seen['lazy']}
    ran_pairs = [(h,t) for i,h,t,rule in zip(calls.index,calls['head'],calls['tail'],calls.rule) if i in executed and not (t in lazy and rule!='py.calls.protocol' and (h,t) not in observed)]
    in_tests = lambda id: '/tests/' in '/'+file_of[id] or '/test_' in '/'+file_of[id] or '/testing/' in '/'+file_of[id]
    share = lambda part,whole: round(len(part)/len(whole),4) if whole else None
    library = {p for p in observed if not in_tests(p[0])}
    certain = [p for p in ran_pairs if predicted[p][0]=='resolved']
    wrong = defaultdict(int)
    for p in ran_pairs:
        if p not in observed: wrong[predicted[p][1]+(' ambiguous' if predicted[p][0]=='ambiguous' else '')] += 1
    beside = rivalled(kg,project,observed,lazy,rivals) if rivals else {}
    return dict(project=project.name,rivals=beside,observed=len(observed),unknown_code=unknown,recall=share(observed&set(predicted),observed),library_callers=len(library),library_recall=share(library&set(predicted),library),
                predicted_that_ran=len(ran_pairs),precision=share([p for p in ran_pairs if p in observed],ran_pairs),resolved_precision=share([p for p in certain if p in observed],certain),
                resolved_that_ran=len(certain),wrong_by_rule=dict(sorted(wrong.items(),key=lambda x: -x[1])),
                missed=sorted((name_of[a],name_of[b]) for a,b in observed-set(predicted)),unconfirmed=sorted((name_of[a],name_of[b],*predicted[a,b]) for a,b in ran_pairs if (a,b) not in observed))

BUCKETS = (0., .25, .5, .75, .9, .97)

def judge(project:Path, seen:dict, run:Path)->list[tuple[str, float, bool]]:
    "Of a run's proposals for open calls whose line ran: project, probability before correction, and whether that call happened. A lower bound: a line may run without the call on it."
    from graphmer_se.kg.build import build
    from graphmer_se.parsing.corpus import Repository
    from graphmer_se.use.distillation import passed, predict
    from graphmer_se.use.search import load_searcher
    source = Repository(project.name,'0','unknown',project)
    proposed = passed(predict(run,[source],load_searcher(run).embedder),0.)
    observed,_,at = happened(build([source]),project,seen)
    ran,lazy = {(f,l) for f,l in seen['lines']},{at.get((f,l,name.rsplit('.',1)[-1])) for f,l,name in seen['lazy']}
    return [(project.name,float(r.uncorrected),(r.head,r.tail) in observed) for r in proposed.itertuples() if (r.file,r.line_start) in ran and r.tail not in lazy]

def by_bucket(judged:list[tuple[float, bool]])->list[dict]:
    "How often proposals of about the same probability were seen to happen."
    rows = []
    for low, high in zip(BUCKETS, (*BUCKETS[1:], 1.01)):
        part = [(p, ok) for p, ok in judged if low<=p<high]
        if part: rows.append({'probability':f'{low:.2f} to {min(high, 1):.2f}', 'proposals':len(part), 'mean probability':round(sum(p for p, _ in part)/len(part), 3), 'happened':round(sum(ok for _, ok in part)/len(part), 3)})
    return rows

def corrected(judged:list, out:Path, run:Path)->dict:
    "Fit the correction of probabilities, say how good it is on a project that it was not fitted on, and write it to `out`."
    import numpy as np
    from graphmer_se.core import write_json
    from graphmer_se.evaluation.protocol import calibration_error
    from graphmer_se.use.distillation import fit_calibration
    names,p,ok = np.array([n for n,_,_ in judged]),np.array([x for _,x,_ in judged]),np.array([o for *_,o in judged])
    left_out = np.zeros(len(p))
    for name in sorted(set(names)): left_out[names==name] = fit_calibration(p[names!=name],ok[names!=name])(p[names==name])
    whole = fit_calibration(p,ok)
    found = dict(slope=whole.slope,offset=whole.offset,run=run.name,projects=sorted(set(names)),proposals=len(p),happened=float(ok.mean()),calibration_error_before=calibration_error(p,ok),calibration_error_left_out=calibration_error(left_out,ok))
    write_json(found,out)
    return found|dict(buckets=by_bucket(list(zip(left_out,ok))))

def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('projects',nargs='+',type=Path); p.add_argument('--python',default=sys.executable); p.add_argument('--tests',default='tests')
    p.add_argument('--rivals',metavar='PYTHON',default='',help='an interpreter that has PyCG: ask it and jedi, too')
    p.add_argument('--json',action='store_true'); p.add_argument('--keep',type=Path,help='a folder where observations are kept and found again'); p.add_argument('--list',type=int,default=0,help='print so many misses of each kind')
    p.add_argument('--pytest',default='',help='more arguments for pytest'); p.add_argument('--predict',type=Path,metavar='RUN',help='judge the proposals of a run for open calls instead'); p.add_argument('--fit',type=Path,metavar='FILE',help='with --predict: fit the correction of their probabilities and write it')
    args,results,judged = p.parse_args(),[],[]
    args.python,args.rivals = (str(Path(x).absolute()) if '/' in x else x for x in (args.python,args.rivals))      # tests run elsewhere
    for project in args.projects:
        project = project.resolve()
        kept = args.keep/f'{project.name}.json' if args.keep else None
        if kept and kept.exists(): seen = json.loads(kept.read_text())
        else:
            tests = args.tests if (project/args.tests).exists() else '.'
            seen = observe(project,args.python,tests,args.pytest.split())
            if kept: kept.parent.mkdir(parents=True,exist_ok=True); kept.write_text(json.dumps(seen))
        if args.predict: judged += judge(project,seen,args.predict)
        else: results.append(compare(project,seen,args.rivals))
    if args.predict:
        if args.fit: found = corrected(judged,args.fit,args.predict); print(json.dumps(found,indent=1)); return
        rows = by_bucket([(x,ok) for _,x,ok in judged])
        return print(json.dumps(rows) if args.json else '\n'.join('   '.join(f'{k} {v}' for k,v in r.items()) for r in rows))
    total = {k:round(v,4) for k,v in call_facts(dict(projects=results)).items()}
    if args.json: return print(json.dumps(dict(total=total,projects=[{k:v for k,v in r.items() if k not in ('missed','unconfirmed')} for r in results]),indent=1))
    for r in results:
        print(f'{r["project"]:24} recall {r["recall"]:.3f} of {r["observed"]:5}, library callers {r["library_recall"] or 0:.3f} of {r["library_callers"]:5}; precision >= {r["precision"]:.3f} of {r["predicted_that_ran"]:5}, resolved {r["resolved_precision"]:.3f} of {r["resolved_that_ran"]:5}')
        for tool,x in r['rivals'].items(): print(f'    {tool:5}',*(f'{k} {v}' for k,v in x.items()))
        for kind in ('missed','unconfirmed') if args.list else ():
            for row in r[kind][:args.list]: print('   ',kind,*row)
        if args.list: print('   ',r['wrong_by_rule'])
    print('total',total)

if __name__=='__main__': main()
