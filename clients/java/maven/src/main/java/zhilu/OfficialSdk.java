package zhilu;

import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.http.StreamResponse;
import com.openai.models.chat.completions.ChatCompletionChunk;
import com.openai.models.chat.completions.ChatCompletionCreateParams;

/** A streamed answer through OpenAI's official SDK. */
public final class OfficialSdk {
    private OfficialSdk() {}

    public static void main(String[] args) {
        OpenAIClient client = OpenAIOkHttpClient.builder()
                .baseUrl(Settings.URL)
                .apiKey(Settings.KEY)
                .build();
        ChatCompletionCreateParams params = ChatCompletionCreateParams.builder()
                .model(Settings.MODEL)
                .maxCompletionTokens(256)
                .addUserMessage(args.length > 0 ? args[0] : "What can you do?")
                .build();
        try (StreamResponse<ChatCompletionChunk> reply = client.chat().completions().createStreaming(params)) {
            reply.stream()
                    .flatMap(chunk -> chunk.choices().stream())
                    .flatMap(choice -> choice.delta().content().stream())
                    .forEach(System.out::print);
        }
        System.out.println();
    }
}
