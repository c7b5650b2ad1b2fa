package zhilu.chat;

import java.util.List;
import java.util.Map;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.core.ParameterizedTypeReference;
import org.springframework.stereotype.Service;
import org.springframework.web.client.RestClient;

/** Passages of Zhilu's knowledge bases: they were read, split and embedded there, and are found by meaning and by words. */
@Service
public class Knowledge {
    /** A passage; the names are those of the wire. */
    public record Passage(String doc_name, String text, double score) {}

    private record Found(List<Passage> hits) {}

    private record Base(String id, String name) {}

    private final RestClient client;

    public Knowledge(@Value("${zhilu.url}") String url, @Value("${zhilu.api-key}") String key) {
        this.client = RestClient.builder()
                .baseUrl(url.replaceFirst("/v1/?$", "") + "/zhilu/v1/kbs")
                .defaultHeader("Authorization", "Bearer " + key)
                .build();
    }

    /** The passages that fit best, the best first; none where there is no knowledge base of this name. */
    public List<Passage> search(String name, String question) {
        List<Base> bases = client.get().uri("").retrieve().body(new ParameterizedTypeReference<List<Base>>() {});
        if (bases == null) return List.of();
        return bases.stream()
                .filter(base -> base.name().equals(name) || base.id().equals(name))
                .findFirst()
                .map(base -> client.post()
                        .uri("/{id}/search", base.id())
                        .body(Map.of("query", question, "k", 4))
                        .retrieve()
                        .body(Found.class))
                .map(Found::hits)
                .orElse(List.of());
    }
}
