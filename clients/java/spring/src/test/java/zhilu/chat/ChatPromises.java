package zhilu.chat;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.core.env.Environment;
import org.springframework.test.context.DynamicPropertyRegistry;
import org.springframework.test.context.DynamicPropertySource;

/** The same promises of both libraries, over HTTP as a browser asks. */
abstract class ChatPromises {
    static final ScriptedGateway GATEWAY = start();

    @Autowired
    Environment environment;

    private static ScriptedGateway start() {
        try {
            return new ScriptedGateway();
        } catch (IOException problem) {
            throw new IllegalStateException(problem);
        }
    }

    @DynamicPropertySource
    static void gateway(DynamicPropertyRegistry registry) {
        registry.add("zhilu.url", GATEWAY::url);
    }

    private HttpResponse<String> ask(String body) throws Exception {
        String port = environment.getProperty("local.server.port");
        HttpRequest request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/api/chat"))
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(body))
                .build();
        return HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
    }

    private static String question(String text) {
        return "{\"messages\": [{\"role\": \"user\", \"content\": \"" + text + "\"}]}";
    }

    /** The pieces put together. */
    private static String told(HttpResponse<String> reply) {
        return reply.body().lines()
                .filter(line -> line.startsWith("data:{\"text\":\""))
                .map(line -> line.substring("data:{\"text\":\"".length(), line.length() - 2))
                .reduce("", String::concat);
    }

    @Test
    void streamsPieces() throws Exception {
        HttpResponse<String> reply = ask(question("Hi"));
        assertThat(reply.statusCode()).isEqualTo(200);
        assertThat(told(reply)).isEqualTo("Hello.");
        assertThat(reply.body()).contains("data:[DONE]");
    }

    @Test
    void callsTheTool() throws Exception {
        assertThat(told(ask(question("Where is order 1001?")))).isEqualTo("It was shipped.");
        String last = GATEWAY.asked.get(GATEWAY.asked.size() - 1);
        assertThat(last).contains("shipped on Monday, arrives on Thursday");
    }

    @Test
    void answersFromTheKnowledgeBase() throws Exception {
        String body = "{\"messages\": [{\"role\": \"user\", \"content\": \"How much leave?\"}], \"knowledgeBase\": \"handbook\"}";
        assertThat(told(ask(body))).isEqualTo("25 days.");
    }

    @Test
    void saysWhatWentWrong() throws Exception {
        HttpResponse<String> reply = ask(question("break off"));
        assertThat(reply.body()).contains("the model is away").contains("data:[DONE]");
        assertThat(ask(question(" ")).statusCode()).isEqualTo(400);
        assertThat(ask("{\"messages\": []}").statusCode()).isEqualTo(400);
    }
}
