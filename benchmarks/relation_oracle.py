"""Relations of Python packages, against what the interpreter says about them.

    python benchmarks/relation_oracle.py PACKAGE... [--python VENV/bin/python] [--misses N] [--json]

PACKAGE can be imported by that interpreter. Its folder is copied and a graph of it is built; then every module is imported, and objects and syntax trees say what should be there:

- inherits_from (and implements): `__bases__` of every class;
- overrides: the next class of the resolution order, inside the package, that has the method;
- imports: the modules of the package that import statements name, as they are once they have run;
- annotated_with, raises, catches, returns: the names in decorators, `raise`, `except` and return annotations, evaluated where they stand;
- reads_from, writes_to: the module's own variables among the global names that a function's code loads and stores;
- reads_self, writes_self: attributes that a method loads from and stores in its first parameter, as the nearest class of the resolution order assigns them (what the graph says besides is not judged: it knows other objects, too).

Only places that the interpreter can see are compared: modules that can be imported, definitions that are reachable by their name and whose code is in that file, names that are
not local to the function. An annotation is no read, and a declared overload no definition. A tail outside the package is compared as an object: `click.command` and `click.decorators.command` are one. An edge of the graph that the interpreter does not
confirm counts against precision where it could have been confirmed, which is where the same file and definition were looked at.
"""
import argparse, json, shutil, subprocess, sys, tempfile
from collections import defaultdict
from pathlib import Path

TRUTH = r'''
import ast, builtins, dis, importlib, inspect, json, pkgutil, sys, types, warnings
warnings.simplefilter('ignore')
package, named = sys.argv[1], json.loads(sys.stdin.read())
root = importlib.import_module(package)
folder = root.__path__[0]
inside = lambda name: name==package or (name or '').startswith(package+'.')
modules = {package:root}
for info in pkgutil.walk_packages(root.__path__, package+'.', onerror=lambda n: None):
    if {'tests','test','testing','__main__','conftest'}&set(info.name.split('.')): continue
    try: modules[info.name] = importlib.import_module(info.name)
    except BaseException: pass
def thing(name):
    "The object behind a dotted name."
    for cut in range(name.count('.')+1,0,-1):
        parts = name.split('.')
        try: x = importlib.import_module('.'.join(parts[:cut]))
        except BaseException: continue
        try:
            for p in parts[cut:]: x = getattr(x,p)
            return x
        except AttributeError: return None
outside = {n:x for n in named if (x := thing(n)) is not None}
keys, ours = {}, {}       # outside: object -> the first name that the graph has for it; inside: code or class -> its numbered name
for n,x in outside.items(): keys.setdefault(id(x),n)
def said(x):
    "How the graph would call an object: by its definition inside, by any name that it uses outside. Nothing, where the object has no name of its own."
    plain = inspect.unwrap(x) if callable(x) and not isinstance(x,type) else x
    if (known := ours.get(id(getattr(plain,'__code__',plain)))): return known
    if id(x) in keys: return '~'+keys[id(x)]
    full = f'{getattr(x,"__module__",None)}.{getattr(x,"__qualname__",None)}'
    return '~'+full if not inside(getattr(x,'__module__',None)) and thing(full) is x else None
facts, looked = [], {r:[] for r in ('inherits_from','overrides','imports','annotated_with','raises','catches','returns','reads_from','writes_to','reads_self','writes_self')}
def fact(head,relation,tail):
    if tail: facts.append((head,relation,tail))
    return bool(tail)
def plain(f):
    if isinstance(f,(staticmethod,classmethod)): f = f.__func__
    if isinstance(f,property): f = f.fget
    f = inspect.unwrap(f) if callable(f) else None
    return f if isinstance(f,types.FunctionType) else None
class Unknown(Exception): pass
def evaluated(node, where):
    if isinstance(node,ast.Name):
        if node.id in where: return where[node.id]
        if hasattr(builtins,node.id): return getattr(builtins,node.id)
    if isinstance(node,ast.Attribute):
        try: return getattr(evaluated(node.value,where),node.attr)
        except AttributeError: raise Unknown
    raise Unknown
def own(node):
    "What stands in a function and in no function inside it."
    for child in ast.iter_child_nodes(node):
        if isinstance(child,(ast.FunctionDef,ast.AsyncFunctionDef,ast.Lambda,ast.ClassDef)): continue
        yield child
        yield from own(child)
def instructions(code):
    "Those of a function and of the comprehensions in it."
    yield from dis.get_instructions(code)
    for x in code.co_consts:
        if isinstance(x,types.CodeType) and x.co_name in ('<listcomp>','<setcomp>','<dictcomp>','<genexpr>'): yield from instructions(x)
def spoken(node):
    "The names that stand in a function, those of annotations and of functions inside it left out."
    for field,value in ast.iter_fields(node):
        if field in ('annotation','returns'): continue
        for child in value if isinstance(value,list) else [value]:
            if not isinstance(child,ast.AST): continue
            if isinstance(child,ast.Name): yield child.id
            if isinstance(child,(ast.FunctionDef,ast.AsyncFunctionDef,ast.Lambda)): children = [*child.args.defaults,*child.args.kw_defaults,*getattr(child,'decorator_list',())]
            else: children = [child]
            for c in children:
                if c is not None: yield from spoken(c)
def named_in(node):
    "The names of an annotation, or nothing if it says more than names."
    if isinstance(node,ast.Constant) and isinstance(node.value,str): node = ast.parse(node.value,mode='eval').body
    return node
parsed, variables, assigns = {}, [], {}      # assigns: class -> the names that its body or its methods assign
def assigned_in(d):
    "The names that the body of a class assigns, and those that its methods assign to their first parameter."
    for s in d.body:
        if isinstance(s,(ast.Assign,ast.AnnAssign)): yield from (t.id for t in (s.targets if isinstance(s,ast.Assign) else [s.target]) if isinstance(t,ast.Name))
        if isinstance(s,(ast.FunctionDef,ast.AsyncFunctionDef)) and s.args.args and not any(getattr(x,'id','') in ('staticmethod','classmethod') for x in s.decorator_list):
            for n in own(s):
                if isinstance(n,ast.Attribute) and isinstance(n.ctx,ast.Store) and isinstance(n.value,ast.Name) and n.value.id==s.args.args[0].arg: yield n.attr
def defined(node, name, path, scope, holder, seen, file):
    "Every definition below `node` that can be reached by its name: (syntax, numbered name, object). The second `f` of a file is `f#2`."
    for d in ast.iter_child_nodes(node):
        if not isinstance(d,(ast.FunctionDef,ast.AsyncFunctionDef,ast.ClassDef)):
            if isinstance(d,ast.stmt) or isinstance(d,(ast.ExceptHandler,ast.match_case)): yield from defined(d,name,path,scope,holder,seen,file)
            continue
        dotted = '.'.join([*path,d.name])
        if any((x.id if isinstance(x,ast.Name) else getattr(x,'attr',''))=='overload' for x in d.decorator_list): continue
        seen[dotted] = seen.get(dotted,0)+1
        full,value = f'{name}.{dotted}'+(f'#{seen[dotted]}' if seen[dotted]>1 else ''),holder.get(d.name)
        if isinstance(d,ast.ClassDef):
            if not isinstance(value,type) or value.__qualname__!=dotted or id(value) in ours or seen[dotted]>1: continue
            ours[id(value)],assigns[id(value)] = full,set(assigned_in(d))
            yield d,full,value,scope
            yield from defined(d,name,[*path,d.name],value,vars(value),seen,file)
        elif (f := plain(value)) and f.__qualname__==dotted and f.__code__.co_filename==file and f.__code__.co_firstlineno in (d.lineno,*(x.lineno for x in d.decorator_list)):
            ours[id(f.__code__)] = full
            yield d,full,f,scope
for name,module in modules.items():
    file = getattr(module,'__file__',None) or ''
    if not file.endswith('.py'): continue
    tree = ast.parse(open(file,encoding='utf-8').read())
    parsed[name] = tree,file,list(defined(tree,name,[],None,vars(module),{},file))
for name,(tree,file,definitions) in parsed.items():
    where = vars(modules[name])
    assigned = {t.id for s in tree.body if isinstance(s,(ast.Assign,ast.AnnAssign)) for t in (s.targets if isinstance(s,ast.Assign) else [s.target]) if isinstance(t,ast.Name)}
    others = {n.name for n in tree.body if isinstance(n,(ast.FunctionDef,ast.ClassDef,ast.AsyncFunctionDef))}|{(a.asname or a.name).split('.')[0] for n in ast.walk(tree) if isinstance(n,(ast.Import,ast.ImportFrom)) for a in n.names}
    variables += [f'{name}.{n}' for n in assigned-others]
    looked['imports'].append(name)
    at = name if file.endswith('__init__.py') else name.rpartition('.')[0]
    for n in ast.walk(tree):
        if isinstance(n,ast.Import): found = [a.name for a in n.names]
        elif isinstance(n,ast.ImportFrom):
            base = '.'.join(filter(None,['.'.join(at.split('.')[:len(at.split('.'))-n.level+1]) if n.level else '',n.module]))
            found = [f'{base}.{a.name}' if f'{base}.{a.name}' in modules else base for a in n.names]
        else: continue
        for f in found:
            if f in modules and f!=name: fact(name,'imports',f)
    for d,full,value,scope in definitions:
        decorators = [x.func if isinstance(x,ast.Call) else x for x in d.decorator_list]
        if not any(isinstance(x,ast.Attribute) and x.attr in ('setter','getter','deleter') for x in decorators):
            try:
                if all([fact(full,'annotated_with',said(evaluated(x,where))) for x in decorators]): looked['annotated_with'].append(full)
            except Unknown: pass
        if isinstance(d,ast.ClassDef):
            if hasattr(value,'__total__'): continue                                   # a TypedDict becomes a dict
            bases = value.__orig_bases__ if tuple in value.__bases__ and hasattr(value,'__orig_bases__') else value.__bases__       # so says a NamedTuple
            if all([fact(full,'inherits_from',said(b)) for b in bases if b is not object]): looked['inherits_from'].append(full)
            continue
        if scope is not None and not d.name.startswith('__'):
            above = next((c for c in scope.__mro__[1:] if d.name in vars(c)),None)
            other = plain(vars(above)[d.name]) if above is not None else None
            if above is None or id(above) not in ours or other and id(other.__code__) in ours:
                looked['overrides'].append(full)
                if above is not None and id(above) in ours: fact(full,'overrides',ours[id(other.__code__)])
        local = {*value.__code__.co_varnames,*value.__code__.co_cellvars,*value.__code__.co_freevars}
        if d.returns is not None:
            try:
                x = evaluated(named_in(d.returns),where)
                if isinstance(x,type) and x is not type(None) and fact(full,'returns',said(x)): looked['returns'].append(full)
            except (Unknown,SyntaxError): pass
        raised = [n.exc for n in own(d) if isinstance(n,ast.Raise) and n.exc is not None]
        caught = [e for n in own(d) if isinstance(n,ast.ExceptHandler) and n.type is not None for e in (n.type.elts if isinstance(n.type,ast.Tuple) else [n.type])]
        for relation,nodes in (('raises',raised),('catches',caught)):
            try: found = [evaluated(x.func if isinstance(x,ast.Call) else x,{k:v for k,v in where.items() if k not in local}) for x in nodes]
            except Unknown: continue
            if nodes and all(isinstance(x,type) and issubclass(x,BaseException) for x in found) and all([fact(full,relation,said(x)) for x in found]): looked[relation].append(full)
        looked['reads_from'].append(full); looked['writes_to'].append(full)
        if scope is not None and d.args.args and not any(getattr(x,'id','') in ('staticmethod','classmethod') for x in d.decorator_list):
            looked['reads_self'].append(full); looked['writes_self'].append(full)
            first,before = d.args.args[0].arg,None
            for i in instructions(value.__code__):
                if i.opname in ('LOAD_ATTR','STORE_ATTR') and before is not None and before.opname=='LOAD_FAST' and before.argval==first:
                    holder = next((c for c in scope.__mro__ if i.argval in vars(c) and id(c) not in assigns or i.argval in assigns.get(id(c),())),None)
                    if holder is not None and id(holder) in assigns and not callable(vars(holder).get(i.argval)) and not isinstance(vars(holder).get(i.argval),property):
                        fact(full,'reads_self' if i.opname=='LOAD_ATTR' else 'writes_self',f'{ours[id(holder)]}.{i.argval}')
                before = i
        said_here = set(spoken(d))
        for i in instructions(value.__code__):
            if i.argval in assigned and i.argval in said_here and i.argval not in others and i.opname in ('LOAD_GLOBAL','STORE_GLOBAL'): fact(full,'reads_from' if i.opname=='LOAD_GLOBAL' else 'writes_to',f'{name}.{i.argval}')
print(json.dumps(dict(facts=sorted(set(facts)),looked=looked,keys={n:keys[id(x)] for n,x in outside.items() if id(x) in keys},modules=sorted(modules),variables=sorted(variables),module_of={full:name for name,(_,_,ds) in parsed.items() for _,full,*_ in ds})))
'''

def compared(package:str, python:str)->dict:
    "For each relation (both, truth only, graph only) as lists of (head, tail)."
    from graphmer_se.kg.build import build_to
    from graphmer_se.kg.store import query
    from graphmer_se.parsing.corpus import Repository
    where = Path(subprocess.run([python,'-c',f'import {package};print({package}.__path__[0])'],capture_output=True,text=True,check=True).stdout.strip())
    with tempfile.TemporaryDirectory() as d:
        shutil.copytree(where,Path(d)/package/package,ignore=shutil.ignore_patterns('__pycache__','*.so'))
        build_to(Path(d)/'kg',[Repository(package,'0','unknown',Path(d)/package)])
        rows = query(Path(d)/'kg',"""SELECT h.qualified_name AS head, CASE WHEN t.relation='implements' THEN 'inherits_from' ELSE t.relation END AS relation, o.qualified_name AS tail, o.repository AS inside FROM triples t
                           JOIN entities h ON t.head=h.id JOIN entities o ON t.tail=o.id
                           WHERE t.relation IN ('inherits_from','implements','overrides','imports','annotated_with','raises','catches','returns','reads_from','writes_to') AND t.status IN ('resolved','external')""").to_dict('records')
    plain = lambda n: n.lstrip('@')
    said = subprocess.run([python,'-c',TRUTH,package],input=json.dumps(sorted({plain(r['tail']) for r in rows if not r['inside']})),capture_output=True,text=True)
    if said.returncode: sys.exit(said.stderr[-2000:])
    truth = json.loads(said.stdout.splitlines()[-1])
    variables,ours,looked,facts = set(truth['variables']),defaultdict(set),{r:set(x) for r,x in truth['looked'].items()},defaultdict(set)
    for r in rows:
        tail = plain(r['tail']) if r['inside'] else '~'+truth['keys'].get(plain(r['tail']),plain(r['tail']))
        if r['relation']=='imports' and tail not in truth['modules']: continue                                                              # not importable here
        if r['relation'] in ('reads_from','writes_to') and (tail not in variables or tail.rpartition('.')[0]!=truth['module_of'].get(r['head'])): continue   # attributes, and other modules
        if r['head'] in looked[r['relation']]: ours[r['relation']].add((r['head'],tail))
    for h,relation,t in truth['facts']:
        if h in looked[relation]: facts[relation].add((h,t))
    for mine,theirs in (('reads_self','reads_from'),('writes_self','writes_to')): ours[mine] = {(r['head'],plain(r['tail'])) for r in rows if r['relation']==theirs}&facts[mine]
    return {r:(sorted(ours[r]&facts[r]),sorted(facts[r]-ours[r]),sorted(ours[r]-facts[r])) for r in looked}

def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('packages',nargs='+'); p.add_argument('--python',default=sys.executable); p.add_argument('--misses',type=int,default=0,help='so many examples of each kind of difference'); p.add_argument('--json',action='store_true')
    args,total,found = p.parse_args(),defaultdict(lambda: [0,0,0]),{}
    for package in args.packages:
        differences = compared(package,args.python)
        found[package] = {r:[len(x) for x in parts] for r,parts in differences.items()}
        for r,parts in differences.items():
            for i,x in enumerate(parts): total[r][i] += len(x)
            for word,x in (('missing',parts[1]),('extra',parts[2])):
                for h,t in x[::max(1,len(x)//args.misses)][:args.misses] if args.misses else (): print(f'{word:8}{r:15}{h} -> {t}',file=sys.stderr)
    share = lambda both,other: both/(both+other) if both+other else float('nan')
    if args.json: return print(json.dumps(dict(packages=found,total={r:dict(both=b,missing=m,extra=x,precision=share(b,x),recall=share(b,m)) for r,(b,m,x) in total.items()}),indent=1))
    for r,(b,m,x) in total.items(): print(f'{r:15} {b:7,} both, {m:5,} missing, {x:5,} extra; precision {share(b,x):.4f}, recall {share(b,m):.4f}')

if __name__=='__main__': main()
