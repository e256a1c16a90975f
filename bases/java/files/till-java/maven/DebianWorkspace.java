/* Answers Maven's question for any file of any version from the machine's repositories, before Maven looks elsewhere. */
package tillage.maven;

import java.io.File;
import java.util.List;
import javax.inject.Named;
import javax.inject.Singleton;
import org.eclipse.aether.artifact.Artifact;
import org.eclipse.aether.repository.WorkspaceReader;
import org.eclipse.aether.repository.WorkspaceRepository;

@Named("ide") // the hint under which Maven looks for a reader besides its own
@Singleton
public final class DebianWorkspace implements WorkspaceReader {
    private final WorkspaceRepository repository = new WorkspaceRepository("debian");

    @Override
    public WorkspaceRepository getRepository() {
        return repository;
    }

    @Override
    public File findArtifact(Artifact artifact) {
        return DebianRepository.file(artifact);
    }

    @Override
    public List<String> findVersions(Artifact artifact) {
        return List.of(); // see DebianVersions: this list is for the modules of the build
    }
}
