import java.lang.reflect.*;
import java.net.URI;
import java.nio.file.*;
import java.util.*;
import java.util.stream.*;

/** Writes what the running JDK declares for others to use, one text file per package: java Declarations.java FOLDER */
public class Declarations {
    static final List<String> MODULES = List.of("java.base", "java.logging", "java.sql");
    static String here;

    public static void main(String[] args) throws Exception {
        Map<String, List<Class<?>>> packages = new TreeMap<>();
        FileSystem image = FileSystems.getFileSystem(URI.create("jrt:/"));
        for (String module : MODULES) {
            Path root = image.getPath("/modules/" + module);
            try (Stream<Path> files = Files.walk(root.resolve("java"))) {
                for (Path p : (Iterable<Path>) files.filter(f -> f.toString().endsWith(".class")).sorted()::iterator) {
                    String name = root.relativize(p).toString().replaceAll("\\.class$", "").replace('/', '.');
                    if (name.contains("$") || name.endsWith("-info")) continue;
                    Class<?> c = Class.forName(name, false, ClassLoader.getSystemClassLoader());
                    if (!Modifier.isPublic(c.getModifiers())) continue;
                    packages.computeIfAbsent(c.getPackageName(), k -> new ArrayList<>()).add(c);
                    for (Class<?> above = c.getSuperclass(); above != null; above = above.getSuperclass()) {      // what a public class inherits from a hidden one is public too
                        List<Class<?>> known = packages.computeIfAbsent(above.getPackageName(), k -> new ArrayList<>());
                        if (!Modifier.isPublic(above.getModifiers()) && above.getPackageName().startsWith("java.") && !known.contains(above)) known.add(above);
                    }
                }
            }
        }
        packages.values().removeIf(List::isEmpty);
        for (var e : packages.entrySet()) {
            here = e.getKey();
            StringBuilder out = new StringBuilder("package " + here + ";\n");
            e.getValue().stream().sorted(Comparator.comparing(Class::getName)).forEach(c -> { out.append("\n"); declare(c, out); });
            Files.writeString(Path.of(args[0], here + ".txt"), out);
        }
    }

    static boolean open(int modifiers) { return Modifier.isPublic(modifiers) || Modifier.isProtected(modifiers); }

    static void declare(Class<?> c, StringBuilder out) {
        int m = c.getModifiers();
        if (c.getDeclaringClass() != null && Modifier.isStatic(m) && !c.isInterface()) out.append("static ");
        if (Modifier.isAbstract(m) && !c.isInterface()) out.append("abstract ");
        out.append(c.isInterface() ? "interface " : "class ").append(c.getSimpleName()).append(variables(c));
        Type parent = c.getGenericSuperclass();
        if (parent != null && parent != Object.class) out.append(" extends ").append(name(parent));
        if (c.getInterfaces().length > 0) out.append(c.isInterface() ? " extends " : " implements ").append(list(c.getGenericInterfaces(), false));
        out.append(" {\n");
        TreeSet<String> members = new TreeSet<>();
        for (Field f : c.getDeclaredFields()) if (open(f.getModifiers()) && !f.isSynthetic())
            members.add((Modifier.isStatic(f.getModifiers()) ? "static " : "") + name(f.getGenericType()) + " " + f.getName() + ";\n");
        for (Constructor<?> k : c.getDeclaredConstructors()) if (open(k.getModifiers()) && !k.isSynthetic())
            members.add(variables(k) + c.getSimpleName() + "(" + list(k.getGenericParameterTypes(), k.isVarArgs()) + ");\n");
        for (Method f : c.getDeclaredMethods()) if (open(f.getModifiers()) && !f.isBridge() && !f.isSynthetic()) {
            int n = f.getModifiers();
            String kind = f.isDefault() ? "default " : Modifier.isStatic(n) ? "static " : Modifier.isAbstract(n) && !c.isInterface() ? "abstract " : "";
            members.add(kind + variables(f) + name(f.getGenericReturnType()) + " " + f.getName() + "(" + list(f.getGenericParameterTypes(), f.isVarArgs()) + ");\n");
        }
        members.forEach(out::append);
        Stream.of(c.getDeclaredClasses()).filter(i -> open(i.getModifiers())).sorted(Comparator.comparing(Class::getName)).forEach(i -> declare(i, out));
        out.append("}\n");
    }

    static String variables(GenericDeclaration d) {
        if (d.getTypeParameters().length == 0) return "";
        return Stream.of(d.getTypeParameters()).map(v -> v.getName() + (v.getBounds()[0] == Object.class ? "" : " extends " + Stream.of(v.getBounds()).map(Declarations::name).collect(Collectors.joining(" & "))))
            .collect(Collectors.joining(",", "<", ">")) + (d instanceof Class ? "" : " ");
    }

    static String list(Type[] types, boolean varargs) {

        StringJoiner all = new StringJoiner(",");
        for (int i = 0; i < types.length; i++) {
            String n = name(types[i]);
            all.add(varargs && i == types.length - 1 ? n.replaceAll("\\[\\]$", "...") : n);
        }
        return all.toString();
    }

    static String name(Type t) {
        if (t instanceof GenericArrayType a) return name(a.getGenericComponentType()) + "[]";
        if (t instanceof TypeVariable<?> v) return v.getName();
        if (t instanceof WildcardType w) {
            if (w.getLowerBounds().length > 0) return "? super " + name(w.getLowerBounds()[0]);
            return w.getUpperBounds()[0] == Object.class ? "?" : "? extends " + name(w.getUpperBounds()[0]);
        }
        if (t instanceof ParameterizedType p) return name(p.getRawType()) + Stream.of(p.getActualTypeArguments()).map(Declarations::name).collect(Collectors.joining(",", "<", ">"));
        Class<?> c = (Class<?>) t;
        if (c.isArray()) return name(c.getComponentType()) + "[]";
        String full = c.getCanonicalName();
        String pack = c.getPackageName();
        return !c.isPrimitive() && (pack.equals(here) || pack.equals("java.lang")) ? full.substring(pack.length() + 1) : full;
    }
}
