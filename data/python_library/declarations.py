"""What the standard library of Python declares: classes with what they derive from and have, and what calls give. Read from the type stubs of typeshed (Apache-2.0), as mypy 2.4.1 carries them.

    python data/python_library/declarations.py TYPESHED/stdlib > data/python_library/standard.txt

Types stand under the name by which a program imports them. A line is `class NAME BASES`, then for each member ` name`, ` name TYPE` for an attribute or ` name() TYPE` for what a call gives; functions of modules stand
outside of classes as `NAME() TYPE`. TYPE is a class, or one with what it holds: `builtins.list[builtins.str]`; `Self` is the class that is asked. What is of more than one type has none here.
"""
import ast, sys
from pathlib import Path

LEFT_OUT = ('lib2to3','tkinter','turtle','turtledemo','msilib','distutils','idlelib','curses','winreg','_winapi','pydoc_data','ensurepip','antigravity','this','_typeshed','encodings','profiling','nt','compression')
NOTHING = ('typing.Any','typing.NoReturn','typing.Never','builtins.object')
HOLDING = {'list':'list','set':'set','frozenset':'set','dict':'dict','tuple':'tuple','Iterator':'list','Iterable':'list','Generator':'list','Sequence':'list','AsyncIterator':'list','Collection':'list','defaultdict':'dict','Mapping':'dict','MutableMapping':'dict','deque':'list'}

class Module:
    "The names of a stub: what is defined there, and what it takes from others."
    def __init__(self, name, path):
        self.name,self.package = name,name if path.name=='__init__.pyi' else name.rpartition('.')[0]
        self.classes,self.functions,self.aliases,self.imports,self.stars,self.shown = {},{},{},{},[],set()
        for node in statements(ast.parse(path.read_text()).body):
            if isinstance(node,ast.ClassDef): self.classes.setdefault(node.name,node)
            elif isinstance(node,(ast.FunctionDef,ast.AsyncFunctionDef)): self.functions.setdefault(node.name,[]).append(node)
            elif isinstance(node,ast.Import):
                for a in node.names: self.imports[a.asname or a.name.split('.')[0]] = (a.name if a.asname else a.name.split('.')[0],None)
            elif isinstance(node,ast.ImportFrom):
                base = node.module or ''
                if node.level:
                    up = self.package.split('.')
                    base = '.'.join([*up[:len(up)-node.level+1],*([base] if base else [])])
                for a in node.names:
                    if a.name=='*': self.stars.append(base)
                    else:
                        self.imports[a.asname or a.name] = (base,a.name)
                        if a.asname==a.name: self.shown.add(a.name)
            elif isinstance(node,(ast.Assign,ast.AugAssign)) and ast.unparse(node.targets[0] if isinstance(node,ast.Assign) else node.target)=='__all__': self.shown |= {c.value for c in ast.walk(node) if isinstance(c,ast.Constant)}
            elif isinstance(node,ast.Assign) and len(node.targets)==1 and isinstance(node.targets[0],ast.Name): self.aliases[node.targets[0].id] = node.value
            elif isinstance(node,ast.AnnAssign) and isinstance(node.target,ast.Name) and node.value is not None: self.aliases[node.target.id] = node.value

def statements(body):
    "Every statement, through conditions on version and platform."
    for node in body:
        if isinstance(node,ast.If): yield from statements(node.body); yield from statements(node.orelse)
        elif isinstance(node,ast.Try): yield from statements(node.body)
        else: yield node

class Library:
    "All stubs, and under which name a program imports each class."
    def __init__(self, root:Path):
        self.modules = {}
        for path in sorted(root.rglob('*.pyi')):
            parts = path.relative_to(root).with_suffix('').parts
            name = '.'.join(parts[:-1] if parts[-1]=='__init__' else parts)
            if parts[0] not in LEFT_OUT: self.modules[name] = Module(name,path)
        self.public = {}
        for name in sorted(self.modules,key=lambda n: (n!='builtins',n.count('.')+(n in ('types','typing_extensions')),n)):          # the shortest public name of a class
            if any(p.startswith('_') for p in name.split('.')): continue
            for n in sorted(self.names(name)):
                if n.startswith('_'): continue
                found = self.find(name,n)
                if found and found[0]=='class' and (n==found[2] or found[1].startswith('_')): self.public.setdefault(found[1:],f'{name}.{n}')

    def names(self, module, seen=()):
        "What a module shows to others: what it takes from elsewhere only where it says so."
        m = self.modules.get(module)
        if m is None or module in seen: return set()
        return {*m.classes,*m.functions,*m.aliases,*(n for n in m.imports if n in m.shown)}|{n for s in m.stars for n in self.names(s,(*seen,module)) if not n.startswith('_')}

    def find(self, module, name, depth=0):
        "('class' or 'function', module, name) of what a name means, or None."
        m = self.modules.get(module)
        if m is None or depth>12: return None
        if name in m.classes: return 'class',module,name
        if name in m.functions: return 'function',module,name
        if name in m.aliases:
            v = m.aliases[name]
            if isinstance(v,ast.Name): return self.find(module,v.id,depth+1)
            if isinstance(v,ast.Attribute) and isinstance(v.value,ast.Name) and (where := m.imports.get(v.value.id)) and where[1] is None: return self.find(where[0],v.attr,depth+1)
            return None
        if name in m.imports:
            base,inner = m.imports[name]
            return self.find(base,inner,depth+1) if inner else None
        for s in m.stars:
            if found := self.find(s,name,depth+1): return found
        return self.find('builtins',name,depth+1) if module!='builtins' else None

    def meant(self, module, tree):
        "What a name, or one behind the dot of a module, means."
        if isinstance(tree,ast.Name): return self.find(module,tree.id)
        if not (isinstance(tree,ast.Attribute) and isinstance(tree.value,ast.Name)): return None
        where = self.modules[module].imports.get(tree.value.id)
        return self.find(where[0] if where[1] is None else f'{where[0]}.{where[1]}',tree.attr) if where else None

    def type(self, module, tree, owner=None, depth=0):
        "A type as text, `Self` inside its class, or None."
        if tree is None or depth>4: return None
        if isinstance(tree,ast.Constant): return self.type(module,ast.parse(tree.value,mode='eval').body,owner,depth+1) if isinstance(tree.value,str) else None
        if isinstance(tree,ast.BinOp): return self.either(module,[tree.left,tree.right],owner,depth)
        if isinstance(tree,ast.Subscript):
            name = tree.value.id if isinstance(tree.value,ast.Name) else tree.value.attr if isinstance(tree.value,ast.Attribute) else ''
            inner = tree.slice.elts if isinstance(tree.slice,ast.Tuple) else [tree.slice]
            if name=='Optional': return self.type(module,inner[0],owner,depth+1)
            if name=='Union': return self.either(module,inner,owner,depth)
            if name in ('Annotated','Final','ClassVar','Awaitable'): return self.type(module,inner[0],owner,depth+1)
            if name=='Coroutine': return self.type(module,inner[-1],owner,depth+1)
            if name in ('type','Type','Callable','Literal'): return None
            base = self.type(module,tree.value,owner,depth+1)
            if base is None or name not in HOLDING: return base
            if name=='Generator': inner = inner[:1]
            if name=='tuple' and len(inner)==2 and isinstance(inner[1],ast.Constant) and inner[1].value is Ellipsis: inner = inner[:1]; name = 'Sequence'
            parts = [(p or '').split('[')[0] for p in (self.type(module,i,owner,depth+1) for i in inner)]
            return f'builtins.{HOLDING[name]}[{",".join(parts)}]' if any(parts) else base
        if isinstance(tree,ast.Attribute):
            found = self.meant(module,tree)
            return self.public.get(found[1:]) if found and found[0]=='class' else None
        if not isinstance(tree,ast.Name): return None
        if tree.id in ('Self','_Self'): return 'Self' if owner else None
        if tree.id in ('AnyStr','LiteralString'): return 'builtins.str'
        found = self.find(module,tree.id)
        if found is None:                                   # an alias of something more than a name
            alias = self.modules[module].aliases.get(tree.id)
            return self.type(module,alias,owner,depth+1) if alias is not None and not isinstance(alias,ast.Call) else None
        named = self.public.get(found[1:]) if found[0]=='class' else None
        return None if named in NOTHING else named

    def either(self, module, parts, owner, depth):
        "What several types have in common: `None` and what nobody knows aside, one."
        flat = []
        for p in parts: flat += [p.left,p.right] if isinstance(p,ast.BinOp) else [p]
        flat = [p for p in flat if not (isinstance(p,ast.Constant) and p.value is None) and not (isinstance(p,ast.Name) and p.id in ('Any','MaybeNone','Incomplete'))]
        found = {self.type(module,p,owner,depth+1) for p in flat}
        return found.pop() if len(found)==1 else None

    def given(self, module, functions, owner=None):
        "What a function gives, if all its forms give the same, or files of one kind or another."
        found = {self.type(module,f.returns,owner) for f in functions}
        if len(found)>1: found = {f and f.split('[')[0] for f in found}
        if len(found)>1 and all(f and 'typing.IO' in self.above(f) for f in found): found = {'typing.IO'}
        return found.pop() if len(found)==1 else None

    def direct(self, module, name):
        "The bases of a class as (module, name) pairs."
        found = [self.meant(module,b.value if isinstance(b,ast.Subscript) else b) for b in self.modules[module].classes[name].bases]
        return [f[1:] for f in found if f and f[0]=='class']

    def bases(self, module, name):
        "The public names of the bases of a class; those of a private base stand for it."
        return [p for b in self.direct(module,name) for p in ([self.public[b]] if b in self.public else self.bases(*b)) if p not in NOTHING]

    def members(self, module, name):
        "A line for each member that stands in a class or in a private one above."
        members,forms = {},{}
        for b in reversed(self.direct(module,name)):
            if b not in self.public: members |= self.members(*b)
        for s in statements(self.modules[module].classes[name].body):
            if isinstance(s,(ast.FunctionDef,ast.AsyncFunctionDef)): forms.setdefault(s.name,[]).append(s)
            elif isinstance(s,ast.AnnAssign) and isinstance(s.target,ast.Name): members[s.target.id] = ' '.join(['',s.target.id,self.type(module,s.annotation,True) or '']).rstrip()
            elif isinstance(s,ast.Assign):
                for t in s.targets:
                    if isinstance(t,ast.Name): members[t.id] = f' {t.id}'
            elif isinstance(s,ast.ClassDef): members[s.name] = f' {s.name}'
        for n,fs in forms.items():
            read = any(isinstance(d,ast.Name) and d.id in ('property','cached_property') or isinstance(d,ast.Attribute) and d.attr in ('setter','deleter','cached_property') for f in fs for d in f.decorator_list)
            if n in ('__init__','__new__','__init_subclass__','__class_getitem__','__hash__','__eq__','__ne__'): continue
            given = self.given(module,[f for f in fs if f.returns is not None] if not read else fs[:1],True) or ''
            members[n] = f' {n} {given}'.rstrip() if read else f' {n}() {given}'.rstrip()
        return members

    def above(self, public):
        "A class and what it derives from."
        where = next((k for k,n in self.public.items() if n==public),None)
        return {public}.union(*(self.above(b) for b in self.bases(*where))) if where else {public}

def written(library):
    "Print it all."
    functions,classes = {},{}
    for (module,name),public in sorted(library.public.items(),key=lambda x: x[1]):
        bases,members = library.bases(module,name),library.members(module,name)
        classes[public] = (list(dict.fromkeys(bases)),[members[n] for n in sorted(members) if not (n.startswith('_') and not n.startswith('__'))])
    for module in sorted(library.modules):
        if any(p.startswith('_') for p in module.split('.')): continue
        for n in sorted(library.names(module)):
            found = library.find(module,n)
            if n.startswith('_') or not found: continue
            if found[0]=='class':
                own = library.public.get(found[1:])
                if own and own!=f'{module}.{n}' and (n==found[2] or found[1].startswith('_')) and not own.startswith('builtins.'): functions[f'{module}.{n}'] = f'{module}.{n} = {own}'
            elif given := library.given(found[1],library.modules[found[1]].functions[found[2]]): functions[f'{module}.{n}'] = f'{module}.{n}() {given}'
    for name,(bases,members) in sorted(classes.items()): print(' '.join(['class',name,*bases])); print('\n'.join(members)) if members else None
    for _,line in sorted(functions.items()): print(line)

if __name__=='__main__': written(Library(Path(sys.argv[1])))
