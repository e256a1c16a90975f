/* Treats every dependency's version as a range whose answer is what the machine has, so that files keep their true names. */
package tillage.maven;

import javax.inject.Inject;
import javax.inject.Named;
import javax.inject.Singleton;
import org.apache.maven.repository.internal.DefaultVersionRangeResolver;
import org.eclipse.aether.RepositorySystemSession;
import org.eclipse.aether.artifact.Artifact;
import org.eclipse.aether.artifact.ArtifactProperties;
import org.eclipse.aether.impl.VersionRangeResolver;
import org.eclipse.aether.repository.WorkspaceReader;
import org.eclipse.aether.resolution.VersionRangeRequest;
import org.eclipse.aether.resolution.VersionRangeResolutionException;
import org.eclipse.aether.resolution.VersionRangeResult;
import org.eclipse.aether.version.VersionConstraint;
import org.eclipse.sisu.Priority;

@Named
@Singleton
@Priority(1000)
public final class DebianVersions implements VersionRangeResolver {
    private final DefaultVersionRangeResolver usual;

    @Inject
    DebianVersions(DefaultVersionRangeResolver usual) {
        this.usual = usual;
    }

    @Override
    public VersionRangeResult resolveVersionRange(RepositorySystemSession session, VersionRangeRequest request)
            throws VersionRangeResolutionException {
        Artifact a = request.getArtifact();
        WorkspaceReader modules = session.getWorkspaceReader();
        boolean own = a.getProperty(ArtifactProperties.LOCAL_PATH, null) != null
                || modules != null && !modules.findVersions(a).isEmpty();
        String version = own ? null : DebianRepository.choose(a.getGroupId(), a.getArtifactId(), a.getVersion());
        if (version == null) return usual.resolveVersionRange(session, request);
        VersionConstraint exact = DebianRepository.constraint(version);
        return new VersionRangeResult(request).setVersionConstraint(exact).addVersion(exact.getVersion());
    }
}
