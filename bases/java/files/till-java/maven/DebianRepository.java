/* What the Maven repositories on this machine hold: Tillage's few additions first, then Debian's own. */
package tillage.maven;

import java.io.File;
import java.io.IOException;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.eclipse.aether.artifact.Artifact;
import org.eclipse.aether.util.version.GenericVersionScheme;
import org.eclipse.aether.version.InvalidVersionSpecificationException;
import org.eclipse.aether.version.Version;
import org.eclipse.aether.version.VersionConstraint;

final class DebianRepository {
    private static final File[] ROOTS = {new File("/usr/local/share/maven-repo"), new File("/usr/share/maven-repo")};
    private static final GenericVersionScheme SCHEME = new GenericVersionScheme();
    private static final Set<String> TOLD = ConcurrentHashMap.newKeySet();

    private DebianRepository() {}

    /** The version to take for the wanted one (or range), or null when the repository knows nothing of the artifact. */
    static String choose(String group, String artifact, String wanted) {
        Set<String> all = versions(group, artifact, "jar");
        if (all.isEmpty()) all = versions(group, artifact, "pom");
        if (all.isEmpty()) return null;
        // "debian" and "4.x" are Debian's names for "whatever is installed": call it by its real version
        if (!isReal(wanted) && all.contains(wanted)) {
            File same = canonical(group, artifact, wanted);
            return all.stream().filter(v -> isReal(v) && canonical(group, artifact, v).equals(same)).findFirst().orElse(wanted);
        }
        if (all.contains(wanted)) return wanted;
        String chosen = nearest(all, wanted);
        boolean ours = group.equals("org.codehaus.plexus"); // only named by Debian's plugins
        if (!ours && isReal(wanted) && constraint(wanted).getRange() == null) {
            boolean akin = group.equals("org.apache.maven.plugins") || major(chosen).equals(major(wanted));
            tell(akin ? "INFO" : "WARNING", group + ':' + artifact, "using %s:" + chosen + " instead of " + wanted);
        }
        return chosen;
    }

    /** Says something of an artifact, once. */
    static void tell(String level, String artifact, String format) {
        if (TOLD.add(artifact)) System.out.println("[" + level + "] " + String.format(format, artifact));
    }

    /** The file of an artifact in the given version, or null. */
    static File file(String group, String artifact, String version, String classifier, String extension) {
        String name = artifact + '-' + version + (classifier.isEmpty() ? "" : '-' + classifier) + '.' + extension;
        for (File root : ROOTS) {
            File file = new File(root, group.replace('.', '/') + '/' + artifact + '/' + version + '/' + name);
            if (file.isFile()) return file;
        }
        return null;
    }

    static File file(Artifact a) {
        String version = choose(a.getGroupId(), a.getArtifactId(), a.getVersion());
        String extension = a.getExtension().equals("bundle") ? "jar" : a.getExtension();
        return version == null ? null : file(a.getGroupId(), a.getArtifactId(), version, a.getClassifier(), extension);
    }

    static VersionConstraint constraint(String text) {
        try {
            return SCHEME.parseVersionConstraint(text);
        } catch (InvalidVersionSpecificationException e) {
            throw new IllegalArgumentException(e);
        }
    }

    /** In the range: the newest. Else of the same major version: the next newer, or else the newest. Else likewise of all. */
    private static String nearest(Set<String> all, String wanted) {
        List<Version> real = all.stream().filter(DebianRepository::isReal).map(v -> constraint(v).getVersion())
                .sorted().collect(Collectors.toList());
        if (real.isEmpty()) return all.contains("debian") ? "debian" : all.iterator().next();
        Version newest = real.get(real.size() - 1);
        VersionConstraint want = constraint(wanted);
        if (want.getRange() != null)
            return last(real, want::containsVersion).orElse(newest).toString();
        Predicate<Version> newer = v -> v.compareTo(want.getVersion()) > 0;
        Predicate<Version> akin = v -> major(v.toString()).equals(major(wanted));
        return real.stream().filter(akin.and(newer)).findFirst()
                .or(() -> last(real, akin))
                .or(() -> real.stream().filter(newer).findFirst())
                .orElse(newest).toString();
    }

    private static Optional<Version> last(List<Version> sorted, Predicate<Version> test) {
        return sorted.stream().filter(test).max(Comparator.naturalOrder());
    }

    private static String major(String version) {
        return version.split("[.-]", 2)[0];
    }

    private static boolean isReal(String version) {
        return !version.equals("debian") && !version.endsWith(".x");
    }

    private static File canonical(String group, String artifact, String version) {
        File file = Optional.ofNullable(file(group, artifact, version, "", "jar"))
                .orElseGet(() -> new File(group + artifact + version));
        try {
            return file.getCanonicalFile();
        } catch (IOException e) {
            return file;
        }
    }

    private static Set<String> versions(String group, String artifact, String extension) {
        Set<String> found = new TreeSet<>();
        for (File root : ROOTS) {
            String[] names = new File(root, group.replace('.', '/') + '/' + artifact).list();
            for (String version : names == null ? new String[0] : names)
                if (file(group, artifact, version, "", extension) != null) found.add(version);
        }
        return found;
    }
}
