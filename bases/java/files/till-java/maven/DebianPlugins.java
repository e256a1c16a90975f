/* Gives each plugin of a project, named with or without a version, the version that the machine has, and leaves out
   plugins that the machine lacks when they only report on the code or publish it. */
package tillage.maven;

import java.util.Iterator;
import java.util.Set;
import javax.inject.Inject;
import javax.inject.Named;
import javax.inject.Singleton;
import org.apache.maven.model.Model;
import org.apache.maven.model.Plugin;
import org.apache.maven.model.building.ModelBuildingRequest;
import org.apache.maven.model.building.ModelProblemCollector;
import org.apache.maven.model.plugin.DefaultPluginConfigurationExpander;
import org.apache.maven.model.plugin.PluginConfigurationExpander;
import org.eclipse.sisu.Priority;

@Named
@Singleton
@Priority(1000)
public final class DebianPlugins implements PluginConfigurationExpander { // Maven's last step on a project's model
    private static final Set<String> DISPENSABLE = Set.of("jacoco-maven-plugin", "cobertura-maven-plugin",
            "maven-failsafe-plugin", "maven-checkstyle-plugin", "maven-pmd-plugin", "spotbugs-maven-plugin",
            "findbugs-maven-plugin", "spotless-maven-plugin", "sonar-maven-plugin", "maven-javadoc-plugin",
            "maven-project-info-reports-plugin", "maven-jxr-plugin", "maven-gpg-plugin",
            "maven-release-plugin", "versions-maven-plugin", "flatten-maven-plugin", "fmt-maven-plugin",
            "license-maven-plugin", "dependency-check-maven", "central-publishing-maven-plugin",
            "nexus-staging-maven-plugin");
    private final DefaultPluginConfigurationExpander usual;

    @Inject
    DebianPlugins(DefaultPluginConfigurationExpander usual) {
        this.usual = usual;
    }

    @Override
    public void expandPluginConfiguration(Model model, ModelBuildingRequest request, ModelProblemCollector problems) {
        usual.expandPluginConfiguration(model, request, problems);
        if (model.getBuild() == null) return;
        for (Iterator<Plugin> plugins = model.getBuild().getPlugins().iterator(); plugins.hasNext(); ) {
            Plugin plugin = plugins.next();
            String wanted = plugin.getVersion() == null ? "[0,)" : plugin.getVersion();
            String version = DebianRepository.choose(plugin.getGroupId(), plugin.getArtifactId(), wanted);
            if (version != null) {
                plugin.setVersion(version);
            } else if (DISPENSABLE.contains(plugin.getArtifactId())) {
                DebianRepository.tell("WARNING", plugin.getKey(), "leaving out %s: not installed, and not needed here");
                plugins.remove();
            }
        }
    }
}
