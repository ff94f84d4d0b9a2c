"""Calls as two other tools find them, for the same measure as ours: PyCG 0.0.8 (a call graph by assignment flow) and jedi (what an editor says of the name that is called).

Both see the packages of a project, not its tests. PyCG needs an interpreter that can `python -m pycg`; jedi comes with Jupyter. Calls without a call expression (operators, `with`, iteration, properties)
are no question that jedi is asked. A class that jedi names is taken to call the constructor that our graph knows for it.
"""
import ast, json, os, resource, subprocess, tempfile
from pathlib import Path

NO_PACKAGE = {'tests','test','testing','docs','doc','examples','example','benchmarks','scripts','tools'}

def roots_of(project:Path)->list[Path]:
    "The top-level packages of a project: folders with an `__init__.py`, below `src` if there is one."
    base = project/'src' if (project/'src').is_dir() else project
    return sorted(p.parent for p in base.glob('*/__init__.py') if p.parent.name not in NO_PACKAGE)

def pycg_calls(packages:list[Path], python:str, seconds:float=60, files=(), base=None)->tuple[set, float]|None:
    """(caller, callee) as dotted names relative to `base` (the folder of the packages), and CPU seconds. It starts from `files`, by default all of them.
    Whether it ends depends on the order of its sets, so it is tried with three hash seeds; nothing if it failed, took too long or wanted more than 4 GB with each."""
    files = [str(f) for f in files or (f for p in packages for f in sorted(p.rglob('*.py')))]
    for seed in range(3):
        with tempfile.TemporaryDirectory() as d:
            out,before = Path(d)/'calls.json',resource.getrusage(resource.RUSAGE_CHILDREN)
            try: done = subprocess.run([python,'-m','pycg','--package',str(base or packages[0].parent),*files,'-o',str(out)],capture_output=True,timeout=seconds,env=os.environ|{'PYTHONHASHSEED':str(seed)},preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS,(4<<30,4<<30)))
            except subprocess.TimeoutExpired: continue
            if done.returncode or not out.exists(): continue
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            return {(a,b) for a,called in json.loads(out.read_text()).items() for b in called},after.ru_utime+after.ru_stime-before.ru_utime-before.ru_stime
    return None

class Callers(ast.NodeVisitor):
    "Every call expression of a file: where the called name stands (line, column in characters), and the line and name of the function around it."
    def __init__(self, text:str): self.lines,self.around,self.found = text.split('\n'),[(0,'<module>')],[]
    def visit_Call(self, node):
        f = node.func
        if isinstance(f,ast.Name): self.found.append((f.lineno,self.column(f.lineno,f.col_offset),*self.around[-1]))
        elif isinstance(f,ast.Attribute): self.found.append((f.end_lineno,self.column(f.end_lineno,f.end_col_offset)-len(f.attr),*self.around[-1]))
        self.generic_visit(node)
    def column(self, line:int, at:int)->int: return len(self.lines[line-1].encode()[:at].decode())
    def visit_FunctionDef(self, node):
        for d in (*node.decorator_list,*node.args.defaults,*filter(None,node.args.kw_defaults)): self.visit(d)
        self.around.append((node.lineno,node.name))
        for s in node.body: self.visit(s)
        self.around.pop()
    visit_AsyncFunctionDef = visit_FunctionDef

def jedi_calls(packages:list[Path], seconds:float=180)->tuple[set, float]|None:
    "((file, line, name), (file, line, name, kind)) with files relative to the folder of the packages, and CPU seconds; nothing if it took too long."
    import jedi
    base,found = packages[0].parent,set()
    now = lambda: sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    begun,project = now(),jedi.Project(str(base),added_sys_path=[str(base)])
    for path in (f for p in packages for f in sorted(p.rglob('*.py'))):
        text = path.read_text(encoding='utf-8',errors='replace')
        try: tree = ast.parse(text)
        except SyntaxError: continue
        visitor,script = Callers(text),jedi.Script(text,path=str(path),project=project)
        visitor.visit(tree)
        for line,column,at,name in visitor.found:
            if now()-begun>seconds: return None
            try: meant = script.infer(line,column)
            except Exception: continue                       # what makes it fail, it does not know
            for m in meant:
                if m.module_path and m.type in ('function','class') and base in Path(m.module_path).parents:
                    found.add(((str(path.relative_to(base)),at,name),(str(Path(m.module_path).relative_to(base)),m.line,m.name,m.type)))
    return found,now()-begun
